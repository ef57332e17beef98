"""What people run beside the workers; never imported by one."""
