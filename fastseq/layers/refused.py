"""The names of `keras.layers` that fastseq does not have, each with the reason: a closed table.

`fastseq.layers.X` of such a name, `from fastseq.layers import X` and files with such a class say the reason.
tests/layers/test_refused_layers_keras.py compares the table with Keras: who adds a layer takes its name out of here.
"""

_IMAGES = "it works on images or volumes, and fastseq runs sequence models"
_AUGMENTS = "it changes images at random, and fastseq runs sequence models"
_TEXT = (
    "it makes numbers of text or of categories before a model runs: do that with NumPy, and give the model the numbers"
)
_OTHERS = "it runs code of another library inside the model, and fastseq has no other library: write the layer with ops"

_NAMES = {
    _IMAGES: "AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling2D AdaptiveMaxPooling3D "
    "AveragePooling2D AveragePooling3D AvgPool2D AvgPool3D CenterCrop Conv2D Conv2DTranspose Conv3D Conv3DTranspose "
    "ConvLSTM2D ConvLSTM3D Convolution2D Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping2D "
    "Cropping3D DepthwiseConv2D GlobalAveragePooling2D GlobalAveragePooling3D GlobalAvgPool2D GlobalAvgPool3D "
    "GlobalMaxPool2D GlobalMaxPool3D GlobalMaxPooling2D GlobalMaxPooling3D MaxNumBoundingBoxes MaxPool2D MaxPool3D "
    "MaxPooling2D MaxPooling3D Resizing SeparableConv2D SeparableConvolution2D UpSampling2D UpSampling3D "
    "ZeroPadding2D ZeroPadding3D",
    _AUGMENTS: "AugMix AutoContrast ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization MixUp RandAugment "
    "RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop RandomElasticTransform "
    "RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective "
    "RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom "
    "Solarization",
    _TEXT: "CategoryEncoding Discretization HashedCrossing Hashing IntegerLookup StringLookup TextVectorization",
    _OTHERS: "FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper",
    "its states are images along time, of which fastseq has no kernel": "ConvLSTM1D",
    "call the layers one after the other, or in a Sequential model": "Pipeline",
    "use Embedding, and ops.matmul with its transposed table in a layer of your own for the way back":
        "ReversibleEmbedding",
    "give a function to a layer of your own; a file's Lambda takes one by custom_objects": "Lambda",
    "use `get_config`, `from_config` and fastseq.saving": "deserialize serialize",
}  # fmt: skip

REASONS = {name: reason for reason, names in _NAMES.items() for name in names.split()}
