"""Makes an epoch's random numbers depend on the epoch, not on how training got there."""

import numpy as np
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner, set_random_seed


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds all random generators from (seed, iteration, rank) when an epoch starts, those of its workers too.

    mmengine seeds once, so a resumed run replays the numbers of the first epoch. With this hook, training 4 epochs and
    training 2, then resuming to 4, use the same numbers for shuffling, augmentation, sampling and dropout. Data loading
    workers are started anew each epoch, ``persistent_workers`` or not, so that they can be seeded.

    It is for epoch-based training; a resumed iteration-based one gets new numbers, but not the uninterrupted run's.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process and the workers that it is about to start."""
        # SeedSequence mixes, so that neighbouring epochs and ranks get unrelated numbers.
        mixed = np.random.SeedSequence((runner.seed, runner.iter, get_rank())).generate_state(1)[0]
        seed = int(mixed) // 2  # a worker adds its number, and numpy wants less than 2**32
        set_random_seed(seed)
        loader = runner.train_dataloader
        loader._iterator = None  # where torch keeps persistent workers
        keywords = getattr(loader.worker_init_fn, 'keywords', {})  # mmengine's is a partial
        if 'seed' in keywords:
            keywords['seed'] = seed
        if not runner._randomness_cfg.get('diff_rank_seed', False):
            # Without a seed in the config, a resuming run draws one for its sampler before it reads the checkpoint's.
            for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
                if hasattr(sampler, 'seed'):
                    sampler.seed = runner.seed
