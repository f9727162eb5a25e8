"""OpenSTL's command line: the flags that this host acts on, with OpenSTL's names and defaults."""

import argparse


def create_parser() -> argparse.ArgumentParser:
    """OpenSTL's flags. What the host does not act on is not here, so that no flag is silently ignored."""
    parser = argparse.ArgumentParser(description="Train and test a spatio-temporal forecasting model")

    run = parser.add_argument_group("run")
    run.add_argument("--res_dir", default="work_dirs", help="folder of all runs")
    run.add_argument("--ex_name", "-ex", default="Debug", help="name of this run: its folder is RES_DIR/EX_NAME")
    run.add_argument("--device", default="auto", help="auto, cuda, cpu or mps (see --accelerator)")
    run.add_argument("--dist", action="store_true", help="distributed training over --gpus (DDP)")
    run.add_argument("--gpus", nargs="+", default=[0], type=int, help="indices of the devices to use")
    run.add_argument("--fp16", action="store_true", help="same as --precision 16-mixed")
    run.add_argument("--seed", default=42, type=int)
    run.add_argument("--deterministic", action="store_true", help="only deterministic algorithms")
    run.add_argument("--test", action="store_true", help="only test: needs --ckpt_path or a finished run")
    run.add_argument("--ckpt_path", default=None, help="checkpoint to test")
    run.add_argument("--fps", action="store_true", help="also measure the inference speed (frames per second)")
    run.add_argument("--no_display_method_info", action="store_true", help="do not print the model's size and cost")

    data = parser.add_argument_group("data")
    data.add_argument("--dataname", "-d", default="weather_sample", help="name of the dataset")
    data.add_argument("--data_root", default="./data", help="folder that holds the datasets")
    data.add_argument("--batch_size", "-b", default=16, type=int)
    data.add_argument("--val_batch_size", "-vb", default=16, type=int)
    data.add_argument(
        "--num_workers",
        default=None,
        type=int,
        help="loader processes; 0 loads in the main process (default: 4, or 0 for small batches of frames in memory)",
    )
    data.add_argument("--pre_seq_length", default=None, type=int, help="frames in")
    data.add_argument("--aft_seq_length", default=None, type=int, help="frames out")
    data.add_argument("--total_length", default=None, type=int, help="frames in and out together")
    data.add_argument("--use_augment", action="store_true", help="augment the training data")
    data.add_argument("--drop_last", action="store_true", help="drop an incomplete last batch in validation and test")

    model = parser.add_argument_group("method")
    model.add_argument("--method", "-m", default="SimVP")
    model.add_argument("--config_file", "-c", default=None, help="configuration file")
    model.add_argument("--overwrite", action="store_true", help="the configuration file wins over the command line")
    model.add_argument("--model_type", default="gSTA", help="translator of SimVP")
    model.add_argument("--drop", type=float, default=0.0, help="dropout rate")
    model.add_argument("--drop_path", type=float, default=0.0, help="stochastic-depth rate")

    optim = parser.add_argument_group("optimizer and schedule")
    optim.add_argument("--epoch", "-e", default=200, type=int)
    optim.add_argument("--log_step", default=1, type=int, help="epochs between checkpoints")
    optim.add_argument("--opt", default="adam")
    optim.add_argument("--opt_eps", default=None, type=float)
    optim.add_argument("--opt_betas", default=None, type=float, nargs="+")
    optim.add_argument("--momentum", type=float, default=0.9)
    optim.add_argument("--weight_decay", default=0.0, type=float)
    optim.add_argument(
        "--filter_bias_and_bn",
        type=boolean,
        default=False,
        metavar="true|false",
        help="no weight decay for biases and norms",
    )
    optim.add_argument("--clip_grad", type=float, default=None, help="bound of the gradient")
    optim.add_argument("--clip_mode", default="norm", help="what is bounded: norm or value")
    optim.add_argument("--sched", default="onecycle", help="schedule of the learning rate")
    optim.add_argument("--lr", default=1e-3, type=float)
    optim.add_argument("--lr_k_decay", type=float, default=1.0)
    optim.add_argument("--warmup_lr", type=float, default=1e-5)
    optim.add_argument("--min_lr", type=float, default=1e-6)
    optim.add_argument("--final_div_factor", type=float, default=1e4)
    optim.add_argument("--warmup_epoch", type=int, default=0)
    optim.add_argument("--decay_epoch", type=float, default=100)
    optim.add_argument("--decay_rate", "--dr", type=float, default=0.1)
    optim.add_argument("--metric_for_bestckpt", default="val_loss", help="what the best checkpoint minimises")
    return parser


def boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"true or false is needed, got {text!r}")
    return words[text.lower()]
