"""Train a Norse network on I2E digits as its tutorials do, read it, compare. Run: python examples/norse_digits.py

A minute on two idle cores. Needs norse; `--pictures 300 --epochs 1` for a look.
"""

import argparse

import norse.torch as snn
import torch
from torch import nn
from torch.nn import functional as F

import i2e_deploy as i2e
from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.training import digit_sets


class Net(nn.Module):
    """Two convolutions with leaky neurons and a readout that integrates; time first, as in Norse's tutorials."""

    def __init__(self) -> None:
        super().__init__()
        p = snn.LIFParameters(tau_mem_inv=torch.tensor(300.0), tau_syn_inv=torch.tensor(500.0), v_th=torch.tensor(0.3))
        self.conv1, self.lif1 = nn.Conv2d(2, 8, 5, stride=2, padding=2), snn.LIFCell(p)
        self.conv2, self.lif2 = nn.Conv2d(8, 16, 3, stride=2, padding=1), snn.LIFCell(p)
        self.out = snn.LILinearCell(16 * 8 * 8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Voltages [T, B, 10] of the readout, for frames [T, B, 2, 32, 32]."""
        s1 = s2 = so = None
        voltages = torch.zeros(x.shape[0], x.shape[1], 10)
        for ts in range(x.shape[0]):
            z, s1 = self.lif1(self.conv1(x[ts]), s1)
            z, s2 = self.lif2(self.conv2(z), s2)
            v, so = self.out(z.view(x.shape[1], -1), so)
            voltages[ts] = v
        return voltages


def main(pictures: int = 4000, epochs: int = 5, out: str = "") -> tuple[float, float, int]:
    """Accuracy in its own forward and in our float run, and how many decisions differ; `out`: write the network."""
    torch.manual_seed(0)
    (images, classes), (test_frames, test_labels) = digit_sets(seed=0, train_size=pictures, test_size=pictures)
    frames = i2e_torch(torch.from_numpy(images)[:, None], RATIO["mnist"])  # [N, 8, 2, 32, 32]
    labels = torch.from_numpy(classes).long()
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(epochs):
        for batch in torch.split(torch.randperm(len(frames)), 50):
            voltages = net(frames[batch].float().transpose(0, 1))
            loss = F.cross_entropy(4 * voltages.sum(0), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}", flush=True)

    network = i2e.network.from_norse(net, input_shape=(2, 32, 32), example=test_frames[:8])
    print(network.summary(), *(note.text for note in network.notes), sep="\n")
    with torch.no_grad():
        theirs = net.eval()(torch.from_numpy(test_frames).float().transpose(0, 1)).sum(0).argmax(1).numpy()
    ours = network.run(test_frames, keep=()).output.sum(axis=1).argmax(axis=1)
    own, read = float((theirs == test_labels).mean()), float((ours == test_labels).mean())
    differ = int((ours != theirs).sum())
    print(f"accuracy Norse: {own:.3f}, float run: {read:.3f}; decisions that differ: {differ} of {len(ours)}")
    if out:
        i2e.network.write(network, out)
    return own, read, differ


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", default="", help="Write the network here, for `i2e-deploy check` and `export`.")
    arguments = parser.parse_args()
    main(arguments.pictures, arguments.epochs, arguments.out)
