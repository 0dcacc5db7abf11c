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
        "laplace-noise": "robustbench_pix.attacks.further_noise:LaplaceNoise",
        "speckle-noise": "robustbench_pix.attacks.further_noise:SpeckleNoise",
        "shot-noise": "robustbench_pix.attacks.further_noise:ShotNoise",
        "blended-uniform-noise": "robustbench_pix.attacks.further_noise:BlendedUniformNoise",
        "band-noise": "robustbench_pix.attacks.band_noise:BandNoise",
        "corruption": "robustbench_pix.attacks.corruptions.corruption:Corruption",
        "rotation": "robustbench_pix.attacks.geometric:Rotation",
        "translation": "robustbench_pix.attacks.geometric:Translation",
        "scaling": "robustbench_pix.attacks.geometric:Scaling",
        "shear": "robustbench_pix.attacks.geometric:Shear",
        "brightness": "robustbench_pix.attacks.photometric:Brightness",
        "contrast": "robustbench_pix.attacks.photometric:Contrast",
        "occlusion": "robustbench_pix.attacks.photometric:Occlusion",
        "shadow": "robustbench_pix.attacks.photometric:Shadow",
        "blur": "robustbench_pix.attacks.photometric:Blur",
        "fast-gradient-sign": "robustbench_pix.attacks.gradient_sign:FastGradientSign",
        "projected-gradient": "robustbench_pix.attacks.projected_gradient:ProjectedGradient",
        "auto-attack": "robustbench_pix.attacks.auto_attack:AutoAttack",
        "composite": "robustbench_pix.attacks.composite:CompositeAttack",
        "boundary": "robustbench_pix.attacks.boundary:BoundaryAttack",
        "hop-skip-jump": "robustbench_pix.attacks.hop_skip_jump:HopSkipJump",
        "pointwise": "robustbench_pix.attacks.pointwise:Pointwise",
        "geoda": "robustbench_pix.attacks.geoda:GeoDA",
        "square": "robustbench_pix.attacks.square:SquareAttack",
        "simba": "robustbench_pix.attacks.simba:SimBA",
        "natural-evolution": "robustbench_pix.attacks.natural_evolution:NaturalEvolution",
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
        "plain": "robustbench_pix.networks.plain:Plain",
    },
)
