#!/usr/bin/env bash
# Buckets, the account of the runs, and what it may do: deploy/gcp/README.md. Can be run again.
set -euo pipefail
cd "$(dirname "$0")"

: "${PROJECT:?set it to the project id}" "${REGION:?set it to the region of the cluster}"
: "${PREFIX:?set it to what names of buckets begin with; they are shared by the whole world}"
NAMESPACE=${NAMESPACE:-snakes}

ACCOUNT="snake-assets@$PROJECT.iam.gserviceaccount.com"
DATA="gs://$PREFIX-data" STORE="gs://$PREFIX-store" LOGS="gs://$PREFIX-logs"

bucket() {
  gcloud storage buckets describe "$1" --project="$PROJECT" >/dev/null 2>&1 ||
    gcloud storage buckets create "$1" --project="$PROJECT" --location="$REGION" \
      --uniform-bucket-level-access --public-access-prevention
}

# On the bucket, never on the project.
allow() {
  gcloud storage buckets add-iam-policy-binding "$1" --project="$PROJECT" \
    --member="serviceAccount:$ACCOUNT" --role="$2"
}

bucket "$DATA"
bucket "$STORE"
bucket "$LOGS"
# A table that was replaced or removed by mistake can be had back for a week.
gcloud storage buckets update "$STORE" --project="$PROJECT" --versioning --lifecycle-file=lifecycle-store.json
gcloud storage buckets update "$LOGS" --project="$PROJECT" --lifecycle-file=lifecycle-logs.json

gcloud iam service-accounts describe "$ACCOUNT" --project="$PROJECT" >/dev/null 2>&1 ||
  gcloud iam service-accounts create snake-assets --project="$PROJECT" --display-name="Runs of snake-assets"

allow "$DATA" roles/storage.objectViewer
allow "$STORE" roles/storage.objectUser
allow "$LOGS" roles/storage.objectUser
# Dagster asks whether the bucket of its logs is there before it writes.
allow "$LOGS" roles/storage.legacyBucketReader

# Pods of this Kubernetes account are that one at Google; there is no key that could be lost.
gcloud iam service-accounts add-iam-policy-binding "$ACCOUNT" --project="$PROJECT" \
  --member="serviceAccount:$PROJECT.svc.id.goog[$NAMESPACE/snake-assets]" --role=roles/iam.workloadIdentityUser
