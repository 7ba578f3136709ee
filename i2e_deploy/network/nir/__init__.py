"""NIR, the file format that frameworks share: read, written, and judged by recorded data or by a framework."""
