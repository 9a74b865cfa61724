"""Many training runs that differ in some settings, and which of them is best."""
