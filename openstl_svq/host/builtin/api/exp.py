import os.path as osp

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelCheckpoint

from ..methods import method_maps


class BaseExperiment:
    """One run: data, method and trainer from a resolved configuration, with OpenSTL's hooks.

    Args:
        args: namespace of the whole configuration (``create_parser``'s flags, the dataset's entry, the model's keys).
        dataloaders: ``(train, validation, test)`` loaders instead of those of ``args.dataname``.
        strategy: Lightning's strategy.
    """

    def __init__(self, args, dataloaders=None, strategy="auto"):
        self.args = args
        self.config = vars(args)
        self.args.method = self.args.method.lower()
        save_dir = osp.join(args.res_dir, args.ex_name)

        pl.seed_everything(args.seed, verbose=False)
        self.data = self._get_data(dataloaders)
        self.method = method_maps[self.args.method](
            steps_per_epoch=len(self.data.train_loader),
            test_mean=self.data.test_mean,
            test_std=self.data.test_std,
            save_dir=save_dir,
            **self.config,
        )
        callbacks, self.save_dir = self._load_callbacks(args, save_dir, osp.join(save_dir, "checkpoints"))
        self.trainer = self._init_trainer(args, callbacks, strategy)

    def _get_data(self, dataloaders=None):
        raise NotImplementedError(f"{type(self).__name__} must make its data in _get_data")

    def _load_callbacks(self, args, save_dir, ckpt_dir):
        best = ModelCheckpoint(dirpath=ckpt_dir, filename="best", monitor=args.metric_for_bestckpt, save_last=True)
        return [best], save_dir

    def _init_trainer(self, args, callbacks, strategy):
        return pl.Trainer(max_epochs=args.epoch, strategy=strategy, callbacks=callbacks, default_root_dir=self.save_dir)

    def train(self):
        self.trainer.fit(self.method, self.data)

    def test(self):
        self.trainer.test(self.method, self.data)
