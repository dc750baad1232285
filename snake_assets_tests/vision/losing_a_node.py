"""A pass on two nodes, of which one is killed half way; what came of it is printed as JSON."""

import json
import sys
from pathlib import Path

from snake_assets.detection.detect import FindingSettings, find_snakes
from snake_assets.vision.inference.ray import RayEngine
from snake_assets_tests.detection.marks import MarkFinder, image_table, marked

PHOTOS, BATCH, LOST_AFTER = 200, 2, 6
STORE_BYTES = 2**28


def main(root: Path) -> dict[str, object]:
    """Make a table here, and on the two nodes."""
    import ray
    from ray.cluster_utils import Cluster

    place = (0.2, 0.1, 0.7, 0.9)
    photos = {
        f"{n:03}.png": marked(90 + n % 9, 80, place if n % 3 else None, n, "PNG") for n in range(PHOTOS)
    }
    images = image_table(root, photos, 20)
    here = find_snakes(images, root / "here", MarkFinder(), FindingSettings(batch_size=BATCH))
    head = {"num_cpus": 3, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    node = cluster.add_node(num_cpus=2, object_store_memory=STORE_BYTES)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    lost_after: list[int] = []

    def lose(done: int, _: int) -> None:
        if not lost_after and done >= LOST_AFTER:
            cluster.remove_node(node, allow_graceful=False)
            lost_after.append(done)

    settings = FindingSettings(batch_size=BATCH, ray=RayEngine(2))
    there = find_snakes(images, root / "there", MarkFinder(), settings, lose)
    ray.shutdown()
    cluster.shutdown()
    digests = {run.manifests["yolo_crops"].digest for run in (here, there)}
    return {"lost_after": lost_after, "equal": len(digests) == 1, "computed": there.computed}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))) + "\n")
