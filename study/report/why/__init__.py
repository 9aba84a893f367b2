"""The section "Why": what probes of the nets say of the cause, as an argument."""
