"""Train a SpikingJelly network on I2E digits as its tutorials do, read it. Run: python examples/spikingjelly_digits.py

Half a minute on two idle cores. Needs spikingjelly; `--pictures 300 --epochs 1` for a look.
"""

import argparse

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import nn
from torch.nn import functional as F

import i2e_deploy as i2e
from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.training import digit_sets


class CSNN(nn.Module):
    """Convolutions with batch norm, leaky neurons and max pooling; all steps at once, step mode "m"."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_fc = nn.Sequential(
            layer.Conv2d(2, 12, 5, stride=2, padding=2, bias=False),
            layer.BatchNorm2d(12),
            neuron.LIFNode(tau=2.0, surrogate_function=surrogate.ATan(), detach_reset=True),
            layer.MaxPool2d(2),
            layer.Conv2d(12, 32, 5, padding=2, bias=False),
            layer.BatchNorm2d(32),
            neuron.ParametricLIFNode(init_tau=2.0, surrogate_function=surrogate.ATan(), detach_reset=True),
            layer.MaxPool2d(2),
            layer.Flatten(),
            layer.Dropout(0.2),
            layer.Linear(32 * 4 * 4, 10, bias=False),
            neuron.IFNode(v_reset=None, surrogate_function=surrogate.ATan()),
        )
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes a step [B, 10] for frames [T, B, 2, 32, 32]."""
        rates: torch.Tensor = self.conv_fc(x).mean(0)
        return rates


def main(pictures: int = 4000, epochs: int = 3, out: str = "") -> tuple[float, float, int]:
    """Accuracy in its own forward and in our float run, and how many decisions differ; `out`: write the network."""
    torch.manual_seed(0)
    (images, classes), (test_frames, test_labels) = digit_sets(seed=0, train_size=pictures, test_size=pictures)
    frames = i2e_torch(torch.from_numpy(images)[:, None], RATIO["mnist"])  # [N, 8, 2, 32, 32]
    labels = torch.from_numpy(classes).long()
    net = CSNN()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(epochs):
        for batch in torch.randperm(len(frames)).split(64):  # type: ignore[no-untyped-call]
            loss = F.mse_loss(net(frames[batch].float().transpose(0, 1)), F.one_hot(labels[batch], 10).float())
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            functional.reset_net(net)
        print(f"epoch {epoch}: loss {loss.item():.3f}")

    network = i2e.network.from_spikingjelly(net, input_shape=(2, 32, 32), example=test_frames[:8])
    print(network.summary(), *(note.text for note in network.notes), sep="\n")
    with torch.no_grad():
        rates = net.eval()(torch.from_numpy(test_frames).float().transpose(0, 1))
    functional.reset_net(net)
    theirs = rates.argmax(1).numpy()
    ours = network.run(test_frames, keep=()).output.sum(axis=1).argmax(axis=1)
    own, read = float((theirs == test_labels).mean()), float((ours == test_labels).mean())
    differ = int((ours != theirs).sum())
    print(f"accuracy SpikingJelly: {own:.3f}, float run: {read:.3f}; decisions that differ: {differ} of {len(ours)}")
    if out:
        i2e.network.write(network, out)
    return own, read, differ


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", default="", help="Write the network here, for `i2e-deploy check` and `export`.")
    arguments = parser.parse_args()
    main(arguments.pictures, arguments.epochs, arguments.out)
