"""Reports for people."""

from i2e_deploy.reporting.html import write_report as write_report
