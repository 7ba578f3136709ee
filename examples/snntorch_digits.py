"""Train a snnTorch network on I2E digits as its tutorials do, read it, compare. Run: python examples/snntorch_digits.py

Half a minute on two idle cores. Needs snntorch; `--pictures 300 --epochs 1` for a look.
"""

import argparse

import snntorch as snn
import torch
from snntorch import surrogate
from torch import nn
from torch.nn import functional as F

import i2e_deploy as i2e
from i2e_deploy.conversion import RATIO, i2e_torch
from i2e_deploy.training import digit_sets


class Net(nn.Module):
    """Two convolutions and a linear layer, with leaky neurons; time first, as in snnTorch's tutorials."""

    def __init__(self) -> None:
        super().__init__()
        beta, gradient = 0.8, surrogate.fast_sigmoid(slope=10)
        self.conv1 = nn.Conv2d(2, 12, 5, stride=2, padding=2)
        self.lif1 = snn.Leaky(beta=beta, threshold=0.3, spike_grad=gradient)
        self.conv2 = nn.Conv2d(12, 32, 5, padding=2)
        self.lif2 = snn.Leaky(beta=beta, threshold=0.3, spike_grad=gradient)
        self.fc1 = nn.Linear(32 * 4 * 4, 10)
        self.lif3 = snn.Leaky(beta=beta, spike_grad=gradient, learn_beta=True)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Spikes and membrane potentials [T, B, 10] of the outputs, for frames [T, B, 2, 32, 32]."""
        mem1, mem2, mem3 = self.lif1.init_leaky(), self.lif2.init_leaky(), self.lif3.init_leaky()
        spk3_rec, mem3_rec = [], []
        for step in range(x.size(0)):
            cur1 = F.avg_pool2d(self.conv1(x[step]), 2)
            spk1, mem1 = self.lif1(cur1, mem1)
            cur2 = F.avg_pool2d(self.conv2(spk1), 2)
            spk2, mem2 = self.lif2(cur2, mem2)
            cur3 = self.fc1(spk2.view(x.size(1), -1))
            spk3, mem3 = self.lif3(cur3, mem3)
            spk3_rec.append(spk3)
            mem3_rec.append(mem3)
        return torch.stack(spk3_rec, dim=0), torch.stack(mem3_rec, dim=0)


def main(pictures: int = 4000, epochs: int = 3, out: str = "") -> tuple[float, float, int]:
    """Accuracy in its own forward and in our float run, and how many decisions differ; `out`: write the network."""
    torch.manual_seed(0)
    (images, classes), (test_frames, test_labels) = digit_sets(seed=0, train_size=pictures, test_size=pictures)
    frames = i2e_torch(torch.from_numpy(images)[:, None], RATIO["mnist"])  # [N, 8, 2, 32, 32]
    labels = torch.from_numpy(classes).long()
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(epochs):
        for batch in torch.split(torch.randperm(len(frames)), 64):
            _, mem = net(frames[batch].float().transpose(0, 1))
            loss = torch.stack([F.cross_entropy(step, labels[batch]) for step in mem]).sum()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")

    network = i2e.network.from_snntorch(net, input_shape=(2, 32, 32), example=test_frames[:8])
    print(network.summary(), *(note.text for note in network.notes), sep="\n")
    with torch.no_grad():
        theirs = net.eval()(torch.from_numpy(test_frames).float().transpose(0, 1))[0].sum(0).argmax(1).numpy()
    ours = network.run(test_frames, keep=()).output.sum(axis=1).argmax(axis=1)
    own, read = float((theirs == test_labels).mean()), float((ours == test_labels).mean())
    differ = int((ours != theirs).sum())
    print(f"accuracy snnTorch: {own:.3f}, float run: {read:.3f}; decisions that differ: {differ} of {len(ours)}")
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
