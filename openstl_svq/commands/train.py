"""Trains a method and tests its best weights.

python tools/train.py -d weather_sample -m simvp_svq -c configs/weather_sample/SimVP_SVQ_gSTA.py
"""

from openstl_svq import cli


def main():
    from openstl_svq import config, figures, predict
    from openstl_svq.training import checkpoint, experiment, run_folder

    args = config.resolve()
    if args.test:
        place = args.ckpt_path or f"{args.res_dir}/{args.ex_name}"
        run = experiment.test_run(place, cli.words())
        predict.write_predictions(run)
        figures.draw_run(run)
        return
    if args.resume and args.config_file is None:  # the run knows its own configuration
        state = checkpoint.load(run_folder.find_checkpoint(args))
        args = config.resolve(base=checkpoint.saved_config(state))
    run = experiment.Experiment(args)
    run.train()
    run.test()
    predict.write_predictions(run)
    figures.draw_run(run)


if __name__ == "__main__":
    cli.main(main)
