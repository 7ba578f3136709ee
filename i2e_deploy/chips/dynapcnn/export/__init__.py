"""The chip's own configuration: as JSON, and set on the vendor's object."""
