"""What only a station image does: makes, at each boot and as root, this station out of the image that all
stations share and of what people wrote on the boot partition.

Nothing here stops the boot. What goes wrong becomes a problem that the agent shows; each part stands alone,
so that one broken file spoils no other.
"""
