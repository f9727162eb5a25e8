"""Tests a trained method: a run folder or a checkpoint, with the configuration that it carries.

    python tools/test.py work_dirs/NAME
    python tools/test.py work_dirs/NAME/checkpoints/last.ckpt --data_root ./data --protocol openstl

The run or checkpoint comes first; without it, --ckpt_path or the run named by --res_dir and --ex_name is tested. All
flags are those of tools/train.py.
"""

from openstl_svq import cli


def main():
    from openstl_svq import config, figures, predict
    from openstl_svq.training import experiment

    words = cli.words()
    if words and not words[0].startswith("-"):
        place, words = words[0], words[1:]
    else:
        args = config.resolve(words, description=__doc__)
        place = args.ckpt_path or f"{args.res_dir}/{args.ex_name}"
    run = experiment.test_run(place, words)
    predict.write_predictions(run)
    figures.draw_run(run)


if __name__ == "__main__":
    cli.main(main)
