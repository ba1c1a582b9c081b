from genloom_ppca import PPCA

from genloom.testing import check_model


def test_ppca_keeps_the_contract() -> None:
    check_model(PPCA)
