"""Stand-ins for what renders or serves, with faults as data."""
