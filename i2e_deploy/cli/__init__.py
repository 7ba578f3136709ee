"""The command line `i2e-deploy`: one file a command; the only place that prints."""

from i2e_deploy.cli.app import main as main
