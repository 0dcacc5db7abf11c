"""The four registries, and what this package puts into them."""

from robustbench_pix.catalogue.registry import Registry

regularizers = Registry(
    "regularizer",
    "robustbench_pix.regularizers",
    {
        "similarity": "robustbench_pix.regularizers.similarity_regularizer:SimilarityRegularizer",
        "blur": "robustbench_pix.recipes.blur:Blur",
        "noise-trained": "robustbench_pix.recipes.noise_training:NoiseTrained",
        "label-smoothing": "robustbench_pix.recipes.label_smoothing:LabelSmoothing",
        "input-gradient": "robustbench_pix.recipes.input_gradient:InputGradient",
        "spectral": "robustbench_pix.recipes.spectrum:Spectral",
    },
)

attacks = Registry(
    "attack",
    "robustbench_pix.attacks",
    {
        "gaussian-noise": "robustbench_pix.attacks.noise.pixel_noise:GaussianNoise",
        "uniform-noise": "robustbench_pix.attacks.noise.pixel_noise:UniformNoise",
        "salt-and-pepper-noise": "robustbench_pix.attacks.noise.pixel_noise:SaltAndPepperNoise",
        "laplace-noise": "robustbench_pix.attacks.noise.pixel_noise:LaplaceNoise",
        "speckle-noise": "robustbench_pix.attacks.noise.pixel_noise:SpeckleNoise",
        "shot-noise": "robustbench_pix.attacks.noise.pixel_noise:ShotNoise",
        "blended-uniform-noise": "robustbench_pix.attacks.noise.pixel_noise:BlendedUniformNoise",
        "band-noise": "robustbench_pix.attacks.noise.band_noise:BandNoise",
        "corruption": "robustbench_pix.attacks.corruptions.corruption:Corruption",
        "rotation": "robustbench_pix.attacks.transforms.geometric:Rotation",
        "translation": "robustbench_pix.attacks.transforms.geometric:Translation",
        "scaling": "robustbench_pix.attacks.transforms.geometric:Scaling",
        "shear": "robustbench_pix.attacks.transforms.geometric:Shear",
        "brightness": "robustbench_pix.attacks.transforms.photometric:Brightness",
        "contrast": "robustbench_pix.attacks.transforms.photometric:Contrast",
        "occlusion": "robustbench_pix.attacks.transforms.photometric:Occlusion",
        "shadow": "robustbench_pix.attacks.transforms.photometric:Shadow",
        "blur": "robustbench_pix.attacks.transforms.photometric:Blur",
        "fast-gradient-sign": "robustbench_pix.attacks.gradient.fast_gradient_sign:FastGradientSign",
        "projected-gradient": "robustbench_pix.attacks.gradient.projected_gradient:ProjectedGradient",
        "auto-attack": "robustbench_pix.attacks.gradient.auto_attack:AutoAttack",
        "composite": "robustbench_pix.attacks.gradient.composite:CompositeAttack",
        "boundary": "robustbench_pix.attacks.decision.boundary:BoundaryAttack",
        "hop-skip-jump": "robustbench_pix.attacks.decision.hop_skip_jump:HopSkipJump",
        "pointwise": "robustbench_pix.attacks.decision.pointwise:Pointwise",
        "geoda": "robustbench_pix.attacks.decision.geoda:GeoDA",
        "decision-ensemble": "robustbench_pix.attacks.decision.decision_ensemble:DecisionEnsemble",
        "square": "robustbench_pix.attacks.score.square:SquareAttack",
        "simba": "robustbench_pix.attacks.score.simba:SimBA",
        "natural-evolution": "robustbench_pix.attacks.score.natural_evolution:NaturalEvolution",
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
        "kriegeskorte92": "robustbench_pix.data.kriegeskorte:kriegeskorte92",
        "v4": "robustbench_pix.data.v4:v4",
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

ALL = (regularizers, attacks, datasets, networks)
