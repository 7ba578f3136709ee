"""Hardware profiles: one TOML file a chip, every number with its unit, certainty and source."""
