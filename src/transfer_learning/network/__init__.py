"""The pretrained network: TensorFlow set up, backbones, folded normalisation, the head, features and their files."""
