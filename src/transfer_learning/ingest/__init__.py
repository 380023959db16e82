"""What fetch and split do: archives, downloads, folders of one's own, drawn pictures, published weights, the split."""
