"""The instances, built from packages and seeded generators; nothing is downloaded."""
