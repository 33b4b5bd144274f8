"""Makes the random numbers of an epoch depend on the epoch alone, not on where training was resumed."""

import numpy as np
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner, set_random_seed


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds all random generators, also those of data loading workers, from (seed, iteration, rank) in every epoch.

    mmengine seeds once, so a resumed run replays the numbers of the first epoch. With this hook, a training of 4 epochs
    and a training of 2 epochs that is resumed to 4 use the same numbers for shuffling, augmentation, sampling and
    dropout. Data loading workers are started anew each epoch, even with ``persistent_workers``, so that they can be
    seeded.

    The hook is for epoch-based training. A resumed iteration-based training gets new numbers too, but not those of the
    uninterrupted run.
    """

    def before_train_epoch(self, runner: Runner) -> None:
        """Seed this process and the workers that it is about to start."""
        # SeedSequence mixes its inputs, so that neighbouring epochs and ranks get unrelated numbers.
        mixed = np.random.SeedSequence((runner.seed, runner.iter, get_rank())).generate_state(1)[0]
        seed = int(mixed) // 2  # leaves room: each worker adds its number, and numpy's limit is 2**32
        set_random_seed(seed)
        loader = runner.train_dataloader
        loader._iterator = None  # drops persistent workers, which torch keeps here
        keywords = getattr(loader.worker_init_fn, 'keywords', {})  # mmengine sets a functools.partial
        if 'seed' in keywords:
            keywords['seed'] = seed
        if not runner._randomness_cfg.get('diff_rank_seed', False):
            # Without a seed in the config, a resuming run draws one for its sampler before it reads the checkpoint's.
            for sampler in (loader.sampler, getattr(loader.batch_sampler, 'sampler', None)):
                if hasattr(sampler, 'seed'):
                    sampler.seed = runner.seed
