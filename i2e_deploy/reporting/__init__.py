"""Reports for people: a page about a bundle or an evaluation, JUnit XML for CI servers, plots."""

from typing import TYPE_CHECKING

from i2e_deploy.lazy import offer

if TYPE_CHECKING:
    from i2e_deploy.reporting.chip_picture import save_chip_picture as save_chip_picture
    from i2e_deploy.reporting.dataset_card import write_dataset_card as write_dataset_card
    from i2e_deploy.reporting.evaluation import write_evaluation as write_evaluation
    from i2e_deploy.reporting.gap_plot import PlotKind as PlotKind
    from i2e_deploy.reporting.gap_plot import save_gap_plot as save_gap_plot
    from i2e_deploy.reporting.html import write_report as write_report
    from i2e_deploy.reporting.junit import junit_xml as junit_xml
    from i2e_deploy.reporting.model_card import write_model_card as write_model_card
    from i2e_deploy.reporting.placement_picture import placement_svg as placement_svg
else:
    __getattr__, __dir__, __all__ = offer(
        __name__,
        {
            "chip_picture": "save_chip_picture",
            "dataset_card": "write_dataset_card",
            "evaluation": "write_evaluation",
            "gap_plot": "PlotKind save_gap_plot",
            "html": "write_report",
            "junit": "junit_xml",
            "placement_picture": "placement_svg",
            "model_card": "write_model_card",
        },
    )
