"""Forecasts from a file or folder of frames with a trained model.

    python tools/predict.py work_dirs/NAME t2m.nc                        # the last frames -> t2m_forecast.nc
    python tools/predict.py work_dirs/NAME weather/ -o out.nc --start 2018-07-01T06:00 --plot out.png
    python tools/predict.py work_dirs/KTH frames/ -o walking.gif --steps 40
    python tools/predict.py work_dirs/MINE film.mp4                      # -> film_forecast.gif

The ending of the output says its format: .nc or .npz (weather), .npz, .gif, .mp4 or .png (video).
"""

import argparse
import shlex
import sys
from datetime import datetime, timezone

from openstl_svq import cli


def create_parser() -> argparse.ArgumentParser:
    parser = cli.Parser(__doc__)
    parser.add_argument(
        "run", help="folder of a run, a checkpoint, a shared model (its folder, or hf://USER/NAME), or weather_sample"
    )
    parser.add_argument(
        "input",
        help="weather: a NetCDF file or a folder of them; pictures: a folder of images, or a "
        "video; custom data: one series of any kind that can be trained on; any model: "
        ".npy or .npz, an array (frames, channels, height, width)",
    )
    parser.add_argument(
        "-o", "--out", default=None, help="what to write (default: <input>_forecast in the current folder)"
    )
    parser.add_argument(
        "--plot",
        default=None,
        metavar="PNG",
        help="draw the forecast too, beside the truth where the input goes on that far (as after --start)",
    )
    parser.add_argument("--force", action="store_true", help="replace an output that exists")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--last",
        dest="window",
        action="store_const",
        const="last",
        default="last",
        help="forecast from the input's last frames (the default)",
    )
    which.add_argument(
        "--start",
        dest="window",
        metavar="TIME",
        help="time of the first input frame, or its number where there are no times",
    )
    which.add_argument(
        "--all",
        dest="window",
        action="store_const",
        const="all",
        help="forecast from every window of the input that has no gap (.nc, .npz)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=None,
        metavar="N",
        help="frames to forecast (default: as trained); for more, the model is fed its own output",
    )
    parser.add_argument(
        "--stride",
        type=int,
        default=None,
        metavar="N",
        help="take every N-th frame, of images and arrays (default: as the dataset's loader)",
    )
    parser.add_argument("--fps", type=float, default=10, help="frames per second of .gif and .mp4 (default: 10)")
    parser.add_argument("--no_range_check", action="store_true", help="take values and units unlike those trained on")
    parser.add_argument("--allow_code", action="store_true", help="run the plug-ins that the run was trained with")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps, ...")
    parser.add_argument(
        "--precision",
        default="32",
        choices=("32", "bf16-mixed"),
        help="bf16-mixed: faster where the device has bfloat16 instructions, some thousandths of a standard deviation away",
    )
    parser.add_argument("--batch_size", type=int, default=16, metavar="N", help="forecasts at a time with --all")
    return parser


def main():
    args = create_parser().parse_args()

    import openstl_svq
    from openstl_svq import predict
    from openstl_svq.predict.export import is_export
    from openstl_svq.predict.hub import find_model
    from openstl_svq.training import run_folder

    out = predict.output_path(args.input, args.out, force=args.force)
    plot = None if args.plot is None else predict.output_path(args.input, args.plot, force=args.force)
    model = openstl_svq.load(args.run, precision=args.precision, allow_code=args.allow_code)
    try:
        model.to(args.device)
    except (RuntimeError, AssertionError) as error:  # both are torch's
        raise ValueError(f"--device {args.device} cannot be used: {str(error).splitlines()[0]}") from error
    print(
        predict.forecast_file(
            model,
            args.input,
            out,
            window=args.window,
            steps=args.steps,
            stride=args.stride,
            check_range=not args.no_range_check,
            fps=args.fps,
            batch_size=args.batch_size,
            plot=plot,
            attributes={
                "checkpoint": args.run if is_export(find_model(args.run)) else str(run_folder.locate(args.run)),
                "history": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ} {shlex.join(sys.argv)}",
            },
        )
    )


if __name__ == "__main__":
    cli.main(main)
