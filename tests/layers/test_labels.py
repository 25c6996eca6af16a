"""What a label that is none of the classes meets."""

import pytest
import torch

from legoc_runtime.layers.leaves import LabelLinear, LabelTable


@pytest.mark.parametrize("form", [LabelTable, LabelLinear])
def test_a_label_beyond_the_null_label_is_no_other_class(form):
    embedding = form(3, 2)
    with torch.no_grad():
        for weight in embedding.parameters():
            weight.normal_()
    embedding(torch.tensor([0, 1, 2, 3]))  # three classes and the null label
    with pytest.raises(IndexError):
        embedding(torch.tensor([4]))


def test_the_null_label_of_the_linear_form_is_its_bias():
    embedding = LabelLinear(3, 2)
    with torch.no_grad():
        embedding.weight.fill_(7.0)
        embedding.bias.fill_(0.5)
    assert embedding(torch.tensor([3, 0])).tolist() == [[0.5, 0.5], [7.5, 7.5]]
