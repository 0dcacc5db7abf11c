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
        "lowpass-data": "robustbench_pix.recipes.lowpass_data:LowPassData",
        "mixup": "robustbench_pix.recipes.mixup:Mixup",
        "augmix": "robustbench_pix.recipes.augmix:AugMix",
        "adversarial": "robustbench_pix.recipes.adversarial:Adversarial",
        "random-signs": "robustbench_pix.recipes.adversarial:RandomSigns",
        "fast-adversarial": "robustbench_pix.recipes.fast_adversarial:FastAdversarial",
        "trades": "robustbench_pix.recipes.trades:Trades",
        "gaussian-trades": "robustbench_pix.recipes.trades:GaussianTrades",
        "jacobian": "robustbench_pix.recipes.jacobian:Jacobian",
        "curvature": "robustbench_pix.recipes.curvature:Curvature",
        "local-linearity": "robustbench_pix.recipes.local_linearity:LocalLinearity",
        "spectral-norm": "robustbench_pix.recipes.spectral_norm:SpectralNorm",
        "parseval": "robustbench_pix.recipes.parseval:Parseval",
    },
)

attacks = Registry(
    "attack",
    "robustbench_pix.attacks",
    {
        "gaussian-noise": "robustbench_pix.attacks.noise:GaussianNoise",
        "uniform-noise": "robustbench_pix.attacks.noise:UniformNoise",
        "salt-and-pepper-noise": "robustbench_pix.attacks.noise:SaltAndPepperNoise",
        "laplace-noise": "robustbench_pix.attacks.noise:LaplaceNoise",
        "speckle-noise": "robustbench_pix.attacks.noise:SpeckleNoise",
        "shot-noise": "robustbench_pix.attacks.noise:ShotNoise",
        "blended-uniform-noise": "robustbench_pix.attacks.noise:BlendedUniformNoise",
        "band-noise": "robustbench_pix.attacks.noise:BandNoise",
        "corruption": "robustbench_pix.attacks.corruptions.corruption:Corruption",
        "rotation": "robustbench_pix.attacks.transforms:Rotation",
        "translation": "robustbench_pix.attacks.transforms:Translation",
        "scaling": "robustbench_pix.attacks.transforms:Scaling",
        "shear": "robustbench_pix.attacks.transforms:Shear",
        "brightness": "robustbench_pix.attacks.transforms:Brightness",
        "contrast": "robustbench_pix.attacks.transforms:Contrast",
        "occlusion": "robustbench_pix.attacks.transforms:Occlusion",
        "shadow": "robustbench_pix.attacks.transforms:Shadow",
        "blur": "robustbench_pix.attacks.transforms:Blur",
        "fast-gradient-sign": "robustbench_pix.attacks.gradient.projected_gradient:FastGradientSign",
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
