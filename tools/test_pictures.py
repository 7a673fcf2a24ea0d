"""Photographs are found in folders named after classes, and looked at as a bundle says."""

import deps  # noqa: F401
import numpy as np
from PIL import Image

import pictures
from test_tools import TemporaryFolder


class Photographs(TemporaryFolder):
    def test_folders_are_named_after_classes_as_eval_takes_them(self) -> None:
        labels = self.folder / "labels.tsv"
        labels.write_text("class\tid\ten\tzh\n0\tn01\tzebra\t斑马\n1\tn02\tEgyptian cat\t\n", "utf-8")
        kept = ["N01/b.JPG", "egyptian_cat/a.png", "斑马/dusk/1.webp"]
        for name in [*kept, "zebra/notes.txt", ".hidden/a.jpg", "empty/x"]:
            (self.folder / "all" / name).parent.mkdir(parents=True)
            (self.folder / "all" / name).touch()
        found = pictures.labelled(self.folder / "all", labels)
        self.assertEqual([(path.name, shown) for path, shown in found], [("b.JPG", 0), ("a.png", 1), ("1.webp", 0)])
        (self.folder / "all/horse").mkdir()
        (self.folder / "all/horse/a.gif").touch()
        with self.assertRaisesRegex(ValueError, "horse: the model has no class of that name"):
            pictures.labelled(self.folder / "all", labels)
        with self.assertRaisesRegex(ValueError, "no pictures in it"):
            pictures.labelled(self.folder / "all/empty", labels)

    def test_a_view_is_laid_out_as_the_bundle_says(self) -> None:
        image = Image.new("RGB", (40, 20), (255, 0, 0))
        image.paste((0, 0, 255), (0, 0, 10, 20))
        image.save(self.folder / "a.png")
        spec = {"size": [4, 8], "resize": 8, "interpolation": "bilinear", "mean": [0.0] * 3, "std": [255.0] * 3}
        centre = pictures.view(self.folder / "a.png", spec | {"crop": "center", "layout": "nchw"})
        self.assertEqual(centre.shape, (1, 3, 4, 8))
        np.testing.assert_array_equal(centre[0, :, 2, -1], [1, 0, 0])
        np.testing.assert_array_equal(centre[0, 2, :, 1:], 0)  # the blue quarter is cut off
        whole = pictures.view(self.folder / "a.png", spec | {"crop": "squash", "layout": "nhwc"})
        self.assertEqual(whole.shape, (1, 4, 8, 3))
        np.testing.assert_array_equal(whole[0, 2, 0], [0, 0, 1])
