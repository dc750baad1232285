"""The code location of a cluster: every step is a pod, and those that keep a device busy get a GPU.

Per step, a config has the form of the tag dagster-k8s/config. The deployment decides it, not the assets.
"""

from dagster_k8s import k8s_job_executor

from snake_assets.definitions import ONE_ON_DEVICE, build_definitions

# Where photos are fetched to (SNAKE_CACHE): those of a split and, where they are packed, their archives.
FETCHED = {"name": "fetched", "empty_dir": {"size_limit": "100Gi"}}
# Decoders hand over pixels through shared memory, of which pods have 64 MiB.
SHARED_MEMORY = {"name": "shm", "empty_dir": {"medium": "Memory", "size_limit": "8Gi"}}
A_GPU = {
    "container_config": {
        "resources": {
            "requests": {"cpu": "8", "memory": "32Gi"},
            "limits": {"memory": "48Gi", "nvidia.com/gpu": 1},
        },
        "volume_mounts": [{"name": "shm", "mount_path": "/dev/shm"}],
    },
    "pod_spec_config": {
        "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-l4"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "volumes": [SHARED_MEMORY],
    },
}
ON_A_GPU = ("embeddings", "crop_embeddings", "yolo_crops", "snake_detector")
STEPS = {
    # A step's pod goes with that of its run.
    "enable_owner_references": True,
    # Pods of one run at once, and of those with a GPU.
    "max_concurrent": 10,
    "tag_concurrency_limits": ONE_ON_DEVICE,
    "step_k8s_config": {
        "container_config": {
            "resources": {"requests": {"cpu": "2", "memory": "8Gi"}, "limits": {"memory": "16Gi"}},
            "volume_mounts": [{"name": "fetched", "mount_path": "/var/cache/snake"}],
        },
        "pod_spec_config": {"volumes": [FETCHED]},
        "pod_template_spec_metadata": {
            "annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
        },
    },
    "per_step_k8s_config": dict.fromkeys(
        ("embeddings", "crop_embeddings", "yolo_crops", "snake_detector"), A_GPU
    ),
}

defs = build_definitions(executor=k8s_job_executor.configured(STEPS))
