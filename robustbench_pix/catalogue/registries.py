"""The four registries, and what this package puts into them."""

from robustbench_pix.catalogue.registry import Registry

regularizers = Registry(
    "regularizer",
    "robustbench_pix.regularizers",
    {"similarity": "robustbench_pix.regularizers.representational:SimilarityRegularizer"},
)

attacks = Registry(
    "attack",
    "robustbench_pix.attacks",
    {
        "gaussian-noise": "robustbench_pix.attacks.noise:GaussianNoise",
        "uniform-noise": "robustbench_pix.attacks.noise:UniformNoise",
        "salt-and-pepper-noise": "robustbench_pix.attacks.noise:SaltAndPepperNoise",
        "fast-gradient-sign": "robustbench_pix.attacks.gradient_sign:FastGradientSign",
        "boundary": "robustbench_pix.attacks.boundary:BoundaryAttack",
        "hop-skip-jump": "robustbench_pix.attacks.hop_skip_jump:HopSkipJump",
        "square": "robustbench_pix.attacks.square:SquareAttack",
    },
)

datasets = Registry(
    "data set",
    "robustbench_pix.datasets",
    {
        "digits": "robustbench_pix.data.digits:digits",
        "mnist": "robustbench_pix.data.torchvision_sets:mnist",
        "fashionmnist": "robustbench_pix.data.torchvision_sets:fashionmnist",
        "cifar10": "robustbench_pix.data.torchvision_sets:cifar10",
        "cifar100": "robustbench_pix.data.torchvision_sets:cifar100",
        "natural": "robustbench_pix.data.natural:natural",
    },
)

networks = Registry(
    "network",
    "robustbench_pix.networks",
    {
        "resnet18": "robustbench_pix.networks.resnet:resnet18",
        "resnet34": "robustbench_pix.networks.resnet:resnet34",
        "small": "robustbench_pix.networks.resnet:small",
    },
)
