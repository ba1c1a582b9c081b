"""The rows of the README's table of measurements, by family. Every figure comes from a file of benchmarks/results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Row = tuple[str, str, str]
"""What was measured, the figure, the command."""


def result(name: str) -> dict[str, Any]:
    """One result file."""
    return json.loads((Path(__file__).parent / "results" / f"{name}.json").read_text(encoding="utf-8"))


def figure(value: float) -> str:
    """A distance as a table shows it: three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def autoencoding() -> list[Row]:
    """Autoencoders."""
    variational, unusual, cleaned = result("vae_fashion"), result("anomaly"), result("denoise")
    own, pythae = (variational["peers"][name]["fd"] for name in ("genloom", "pythae"))
    noisy = cleaned["noise of 255"]["25"]
    return [
        (
            f"`vae`, Fashion-MNIST, {variational['seconds']:.0f} s, one core: FD at n = {variational['n']:,} (floor "
            f"{variational['floor']:.2f}); codes from N(0, I) instead; Pythae's benchmark VAE by both",
            f"**{figure(own['mixture'])}**; {figure(own['standard'])}; {figure(pythae['mixture'])} and "
            f"{figure(pythae['standard'])}",
            "vae_fashion.py",
        ),
        (
            "frauds planted in 20,000 payments, unseen in training, `genloom anomaly`: area under the ROC curve; "
            "isolation forest, PCA",
            f"**{unusual['payments']['autoencoder']['auroc']:.2f}**; "
            f"{unusual['payments']['isolation forest']['auroc']:.2f}, {unusual['payments']['PCA error']['auroc']:.2f}",
            "anomaly.py",
        ),
        (
            "a class of Fashion-MNIST unseen in training, mean of ten: the same",
            f"{unusual['mean auroc']['autoencoder']:.2f}; {unusual['mean auroc']['isolation forest']:.2f}, "
            f"{unusual['mean auroc']['PCA error']:.2f}",
            "anomaly.py",
        ),
        (
            f"`denoising-autoencoder`, Fashion-MNIST, {cleaned['steps']} steps: PSNR with noise of 25 levels of 255; "
            "median, Gaussian filter",
            f"**{noisy['PSNR of the model']['value']:.1f} dB**; {noisy['PSNR of median filter']['value']:.1f}, "
            f"{noisy['PSNR of Gaussian filter']['value']:.1f}",
            "denoise.py",
        ),
    ]


def adversarial() -> list[Row]:
    """Adversarial networks."""
    r3gan, styled, gan, mended = (result(n) for n in ("r3gan_fashion", "stylegan", "gan_mlp", "repair"))
    psi = styled["truncation"]
    at = [f"{psi[p]['precision']:.2f}, {psi[p]['recall']:.2f}" for p in ("0.5", "1.0")]
    toned = result("edit_tone")
    edits = [toned["scores"][k] for k in ("edited, identity term", "edited, no identity term", "the true picture")]
    ways, kinds, course = gan["ways"], r3gan["class_shares"].values(), result("gan_course")
    drawn = result("pix2pix")["pairs"]["openmoji"]
    coloured = drawn["ways"]
    found = result("infogan")["kinds"]["found"]
    modes, told = result("gan_losses"), result("gan_labels")
    stacked = modes["stacked"]
    ways_told = {k: v["fd"] for k, v in told["kinds"].items()}
    return [
        (
            "`r3gan`, Fashion-MNIST, 10 minutes, by class: precision, recall (k = 5, n = 5,000), smallest class",
            f"**{r3gan['precision']:.2f}, {r3gan['recall']:.2f}**, {min(kinds):.1%} of samples",
            "r3gan_fashion.py",
        ),
        (
            f"`stylegan`, emoji 32x32, {styled['run']['budget']} on one shared core: path length in w, in z; "
            "precision, recall at psi 0.5 and at 1",
            f"**{styled['path_length']['w']['mean']:.1f}**, {styled['path_length']['z']['mean']:.1f}; {at[0]}; {at[1]}",
            "stylegan.py",
        ),
        (
            f"`pix2pix`, openmoji's lines to colours, {drawn['steps']} steps: LPIPS of {drawn['held-out pairs']} "
            "held-out drawings to their true colours",
            f"**{coloured['pix2pix']['lpips']:.3f}**; L1 alone {coloured['L1 alone']['lpips']:.3f}, the nearest "
            f"training pair {coloured['the nearest training pair']['lpips']:.3f}",
            "pix2pix.py",
        ),
        (
            "an adversarial step: what the engine adds to its networks' processor time (the goal is 10%)",
            " and ".join(f"`{k}` **{v['overhead']:.1%}**" for k, v in result("gan_step")["models"].items()),
            "gan_step.py",
        ),
        (
            f"`gan` on StackedMNIST, {stacked['wgan-gp']['steps']:,} updates: modes of 1,000 in 25,600 samples by "
            "loss (DCGAN as published 99)",
            ", ".join(f"`{k}` **{v['modes']:,}**" for k, v in stacked.items() if "steps" in v),
            "gan_losses.py",
        ),
        (
            f"labels told to a `gan`, Fashion-MNIST, {told['steps']:,} updates: FD (floor {told['floor']:.2f}) told "
            "nothing; as input, by an auxiliary classifier, by projection",
            f"{ways_told['unconditional']:.2f}; {ways_told['input (conditional-gan)']:.2f}, "
            f"{ways_told['auxiliary (acgan)']:.2f}, **{ways_told['projection (gan)']:.2f}**",
            "gan_labels.py",
        ),
        (
            f"`infogan` on MNIST, {found['steps']:,} updates, two seeds: errors of a code found without labels as "
            "the digit (goal 10%)",
            ", ".join(f"**{r['error']:.1%}**" for r in found["runs"]),
            "infogan.py",
        ),
        (
            f"the course's GAN after ten epochs, {course['seconds']['course']:.0f} s of a core, Fashion-MNIST: FD; "
            f"`r3gan` in {course['seconds']['r3gan']:.0f} s (goal: a tenth)",
            f"{course['frechet']['course']:.1f}; **{course['frechet']['r3gan']:.2f}**",
            "gan_course.py",
        ),
        (
            f"another skin tone for {toned['n']} held-out emoji, `edit`: right one of {toned['emoji to choose from']} "
            "still told, right tone; without the identity term; of true pictures",
            "; ".join(f"{t['right emoji']:.2f}, {t['right tone']:.2f}" for t in edits),
            "edit_tone.py",
        ),
        (
            "`gan-mlp`, 10 epochs of 60,000 images: wall time",
            f"**{ways['genloom']['wall_seconds']:.0f} s**; over tensors {ways['tensors']['wall_seconds']:.0f} s, "
            f"the course's loop with a DataLoader {ways['course']['wall_seconds']:.0f} s",
            "gan_mlp.py",
        ),
        (
            "GANs that leave classes out, `--on-illness repair`: smallest class of 10 as they come, and repaired",
            f"{max(worst(mended, 'as it comes')):.1%} at most; **{min(worst(mended, 'repaired')):.1%}** at least",
            "repair.py",
        ),
    ]


def diffusion() -> list[Row]:
    """Diffusion and flows."""
    speed = result("diffusion")
    ours, theirs = speed["points"]["genloom"], speed["points"]["diffusers"]
    told, few, latent = (result(n) for n in ("text_to_image", "few_steps", "latent"))
    last = {k: v["curve"][-1]["fd"] for k, v in latent.items() if isinstance(v, dict) and "curve" in v}
    speech = result("sound_and_video_mel")["results"]["mel"]
    waves = result("sound_and_video_waveform")["results"]["waveform"]
    clips = result("sound_and_video_video")["results"]["video"]
    variants = result("sweep_flow")["variants"]
    others, again = sorted(v["fd"] for k, v in variants.items() if k != "flow"), result("sweep_flow_1")["variants"]
    solved = result("solvers")
    adams = {n: c["fd"] for n, c in solved["cells"]["adams"].items()}
    teacher, student = ({e["evaluations"]: e["fd"] for e in few[who]["fd"]} for who in ("teacher", "student"))
    seen, new, pairs = (told["r_precision"][f"retrieval{k}"] for k in ("_seen", "", "_pairs"))
    return [
        (
            f"`flow`, Fashion-MNIST, 60, 300 and 1,200 s of one core: {speed['metric']} at n = {speed['n']:,} (floor "
            f"{speed['floor']:.2f}); diffusers' tutorial U-Net in the same times",
            f"**{', '.join(figure(p['fd']) for p in ours)}**; {', '.join(figure(p['fd']) for p in theirs)}",
            "diffusion.py",
        ),
        (
            "sampled images/s of the two, 12 evaluations and 50",
            f"**{ours[-1]['sampled_images_per_second']:.0f}**, {theirs[-1]['sampled_images_per_second']:.1f}",
            "diffusion.py",
        ),
        (
            f"`flow` and {len(others)} variants of it (network, DiT, optimizer, batch, times), equal compute: FD at "
            "n = 2,000 of the default, two seeds; of the best other, the same seeds; of the worst",
            f"**{figure(variants['flow']['fd'])}, {figure(again['flow']['fd'])}**; {figure(others[0])}, "
            f"{figure(again['blocks 2,3']['fd'])}; {figure(others[-1])}",
            "sweep_flow.py",
        ),
        (
            f"solvers on one `flow`, FD at n = {solved['n']:,} (floor {solved['floor']:.2f}): the default's 12 "
            "evaluations, and 250; Heun's 12, Euler's (DDIM) 50, DDPM's 250",
            f"**{figure(adams['12'])}**, {figure(adams['250'])}; {figure(solved['cells']['heun']['12']['fd'])}, "
            f"{figure(solved['cells']['euler']['50']['fd'])}, {figure(solved['cells']['ddpm']['250']['fd'])}",
            "solvers.py",
        ),
        (
            f"`mean-flow`, Fashion-MNIST: FD of 1 and 2 evaluations at n = {few['n']:,} (floor {few['floor']:.2f}); "
            "the flow it was tuned from, by 1, 2 and 12",
            f"**{figure(student[1])}, {figure(student[2])}**; {figure(teacher[1])}, {figure(teacher[2])}, "
            f"{figure(teacher[12])}",
            "few_steps.py",
        ),
        (
            f"64x64 emoji, {latent['seconds each']:.0f} s of one core, n = {latent['n']}: FD of `latent-flow`, its "
            f"autoencoder's time included; `flow` on pixels, stems 4 and 2 (floor {latent['floor']:.1f})",
            f"**{figure(last['latent'])}**; {figure(last['pixels, stem 4'])}, {figure(last['pixels, stem 2'])}",
            "latent.py",
        ),
        (
            f"`text-to-image`, emoji, {told['trained']['seconds'] / 60:.0f} minutes of a shared core: samples whose "
            "own caption comes first among 100, of training and of held-out captions (real pictures)",
            f"{seen['value']:.0%} ({seen['real_pictures']:.0%}), **{new['value']:.0%}** ({new['real_pictures']:.0%})",
            "text_to_image.py",
        ),
        (
            "the same, pairs of a colour and a shape that never met, by the nearest real picture among 18",
            f"{pairs['value']:.0%}, no better than chance ({pairs['chance']:.0%}); real pictures "
            f"{pairs['real_pictures']:.0%}",
            "text_to_image.py",
        ),
        (
            f"`flow` on spoken digits, {speech['updates']:,} updates: FD as heard at n = {speech['samples']:,}; of "
            "real recordings that went through a spectrogram and back",
            f"**{speech['FD, as heard']:.2f}**; {speech['FD, sound of real spectrograms']:.2f}; drawn as waveforms "
            f"{waves['FD, as heard']:.0f}",
            "sound_and_video.py",
        ),
        (
            f"`flow` on moving digits, {clips['updates']:,} updates: FD of frames; of training clips",
            f"{clips['FD']:.1f}, digits cannot be read yet; {clips['FD of training items']:.2f}",
            "sound_and_video.py",
        ),
    ]


def sequences() -> list[Row]:
    """Text, music, molecules, code."""
    gpt, translated, kept = result("gpt_shakespeare"), result("seq2seq_multi30k"), result("principles")
    longer = result("gpt_shakespeare_long")
    written = result("decoding_speed")["shapes"]
    one, many = ({k: v["batch"][texts]["times_transformers"] for k, v in written.items()} for texts in ("1", "32"))
    minute = {m["recipe"]: m for m in result("language_models")["models"]}
    chorales, drugs = result("chorales")["families"], result("molsets")
    vae = drugs["parts"]["vae"]
    near = {part[""]: part["distance"] for part in vae["search"]["logp, nearest to 4"]["sets"]}
    notes = {k: v["test"]["nats_per_note"]["value"] for k, v in chorales.items()}
    aligned, asked = result("align_stories"), result("answers")["parts"]["questions"]
    right = asked["after"]["results"]["exact_match"]
    drawn, published = drugs["parts"]["gpt"]["results"], drugs["char_rnn"]
    trained = [{v["name"]: v["times_the_peer"] for v in size["variants"]} for size in result("training_speed")["curve"]]
    plain, compiled = "gpt2 (same shape, AdamW), bf16", "gpt2 (same shape, AdamW), bf16, compiled"
    return [
        (
            f"`gpt`, tiny Shakespeare, {gpt['cost']['wall_seconds']:.0f} s: held-out nats a character",
            f"**{gpt['nats_per_character']['scored_all']:.2f}** ({gpt['updates']:,} updates)",
            "gpt_shakespeare.py",
        ),
        (
            f"the same, {longer['cost']['wall_seconds'] / 60:.0f} minutes of one core (goal 1.47, as nanoGPT on a GPU)",
            f"**{longer['nats_per_character']['scored_all']:.3f}** ({longer['updates']:,} updates)",
            "gpt_shakespeare.py --long",
        ),
        (
            f"the same text, a shared core: `ngram` in {minute['ngram']['cpu_seconds']:.1f} CPU seconds; `lstm` in "
            f"{minute['lstm']['cpu_seconds']:.0f}",
            f"**{minute['ngram']['nats_per_token']:.2f}**; {minute['lstm']['nats_per_token']:.2f}",
            "language_models.py",
        ),
        (
            f"`seq2seq`, Multi30k German to English, {translated['cost']['cpu_seconds']:.0f} CPU seconds: BLEU of "
            "1,000 held-out sentences",
            f"**{translated['results']['bleu']['value']:.1f}** ({translated['updates']} updates)",
            "seq2seq_multi30k.py",
        ),
        (
            "training tokens/s to transformers' GPT-2 in fp32, same shape and optimizer, 12 x 64 tokens: "
            "0.8M (goal 4), 4.8M, 10.7M, compiled; in bf16 without compiling",
            f"**{', '.join(f'{t[compiled]:.1f}x' for t in trained)}**; "
            f"{', '.join(f'{t[plain]:.1f}x' for t in trained)}",
            "training_speed.py",
        ),
        (
            "tokens/s of one text to transformers' `generate`, same weights, with `genloom[fast]`: 0.8M, 10.7M, 10.7M "
            "of bytes (goals 10, 3, 6); without numba",
            f"**{times(one, 'compiled')}**; {times(one, 'NumPy')}",
            "decoding_speed.py",
        ),
        ("the same, 32 texts (goal 3)", f"**{times(many, 'compiled')}**; {times(many, 'NumPy')}", "decoding_speed.py"),
        (
            f"`molecules-gpt`, {drugs['parts']['gpt']['budget']} of one core: valid, unique@10k, novel; MOSES' CharRNN "
            "(80 epochs on a GPU)",
            f"**{drawn['valid']['value']:.3f}, {drawn['unique_10000']['value']:.4f}, "
            f"{drawn['novel']['value']:.3f}**; {published['valid']:.3f}, {published['unique_10000']:.4f}, "
            f"{published['novel']:.3f}",
            "molsets.py",
        ),
        (
            f"`molecules-vae`, {vae['budget']} of one core: held-out molecules that come back unchanged; mean distance "
            "to a logP of 4 of what `search` finds; of random samples",
            f"**{vae['results']['exact_copies']['value']:.0%}**; **{near['found']:.2f}**; {near['random samples']:.2f}",
            "molsets.py",
        ),
        (
            "held-out Bach chorales, 120 s each, nats a note: `music-transformer`; `music-lstm`, GRU, 9-grams",
            f"**{notes['music-transformer']:.2f}**; {notes['music-lstm']:.2f}, {notes['gru']:.2f}, "
            f"{notes['ngram-9']:.2f}",
            "chorales.py",
        ),
        (
            f"story model, questions about a passage, {asked['updates']} updates of `sft`: exact match of "
            f"{asked['held_out']} held-out ones, a third without an answer; shown 3 examples; always abstaining",
            f"**{right['value']:.2f}**; {asked['before']['3']['results']['exact_match']['value']:.2f}, "
            f"{right['protocol']['always_abstaining']:.2f}",
            "answers.py",
        ),
        (
            f"story model, {aligned['held_out']} held-out beginnings, wins over the untuned one by a rule (divergence, "
            f"nats a token): {aligned['models']['dpo']['updates']} updates of `dpo`, "
            f"{aligned['models']['grpo']['updates']} of `grpo`",
            ", ".join(
                f"**{aligned['models'][k]['win_rate']:.0%}** ({aligned['models'][k]['kl_per_token']:.2f})"
                for k in ("dpo", "grpo")
            ),
            "align_stories.py",
        ),
        (
            f"`revise`, then {kept['steps']} updates of `dpo` on the story model's own revisions: "
            f"{kept['held_out']} held-out drafts that keep three principles, before and after",
            f"{kept['before']['good_share']:.0%}, **{kept['after']['good_share']:.0%}**",
            "principles.py",
        ),
    ]


def engine() -> list[Row]:
    """The engine and the command line."""
    speed, resumed, scale, start = (result(n) for n in ("engine_speed", "resume", "scale", "startup"))
    flow, seconds = result("flow_fashion"), start["median_seconds"]
    arrays, folder = list(scale["arrays"].values()), scale["folder"]
    chosen = result("precision")
    return [
        (
            "training images/s, same network and optimizer: our engine, all its work counted, to a plain fp32 loop",
            f"**{speed['ratio']:.2f}x**; the recipe as it comes, with Muon, {flow['engine_over_plain_loop']:.2f}x",
            "engine_speed.py",
        ),
        (
            f"number format and compiling chosen by itself, {chosen['seconds']:.0f} s: share of the best one's items",
            ", ".join(f"`{k}` **{v['share_of_best']:.0%}**" for k, v in chosen["recipes"].items()),
            "precision.py",
        ),
        (
            f"runs killed (SIGKILL) {resumed['kills']} times and resumed: tensors that differ from runs never stopped",
            f"**{resumed['differing_tensors']}**",
            "resume.py",
        ),
        (
            "ten million items beside a thousand: training images/s, private memory while training",
            f"**{scale['trained_speed_last_to_first']:.2f}x**, {arrays[-1]['private_mib_training']:.0f} MiB beside "
            f"{arrays[0]['private_mib_training']:.0f} MiB",
            "scale.py",
        ),
        (
            f"a folder of {folder['first']['files']:,} pictures: files/s the first time, and again",
            f"**{folder['first']['files_per_second']:,}**, {folder['again']['files_per_second']:,}",
            "scale.py",
        ),
        (
            "`genloom --help`, `import genloom`",
            f"**{seconds['genloom --help']:.2f} s, {seconds['import genloom']:.2f} s**",
            "startup.py",
        ),
    ]


def evaluation() -> list[Row]:
    """Comparing, measuring, watching."""
    compared, page, judged, copies = (result(n) for n in ("compare_mnist", "report_page", "evaluate", "copies"))
    ills, frechet, published, lost = (result(n) for n in ("planted_faults", "frechet", "extractors", "collapse"))
    planted = copies["planted copies found"]
    fds = [e["fd"] for e in lost["generations"] if not e["fresh"]]
    return [
        (
            "`compare vae r3gan flow gan-mlp --data mnist --budget 60s --seeds 3`, and again with three other seeds",
            f"by FD {', '.join(compared['orders']['0'])}; {'the same' if compared['same_order'] else 'another'} order "
            f"with the others; report {compared['report_mb']:.1f} MB",
            "compare_mnist.py",
        ),
        (
            "a report of four runs: size, first paint (median)",
            f"**{page['bytes'] / 1e6:.2f} MB, {page['first_contentful_paint_seconds_median']:.1f} s**",
            "report_page.py",
        ),
        (
            "10,000 samples evaluated (28x28; features of real data cached)",
            f"**{judged['cached_seconds']:.1f} s**; the first time {judged['first_seconds']:.0f} s",
            "evaluate.py",
        ),
        (
            f"copies among {copies['n']:,} samples (1% verbatim; 3% moved, brightened, recompressed): found; and "
            "honest models accused",
            f"**{planted['1% verbatim']:.0%}, {planted['3% near']:.0%}**; "
            f"{copies['false alarms among honest models']:.1%}",
            "copies.py",
        ),
        (
            f"{len(ills['faults'])} planted faults, {ills['faulty_runs']} runs: named rightly; healthy runs accused",
            f"**{ills['named']}** ({ills['named'] / ills['faulty_runs']:.0%}; goal 95%); "
            f"{ills['false_alarms']} of {ills['healthy_runs']} (goal: at most 1)",
            "planted_faults.py",
        ),
        (
            f"`genloom experiment collapse vae --data digits`: {lost['items a generation']:,} items, five generations, "
            "three shares of fresh data: time; FD of the first generation, and of the last without fresh data",
            f"**{lost['seconds for everything'] / 60:.0f} minutes**; {fds[0]:.1f}, {fds[-1]:.1f}",
            "collapse.py",
        ),
        (
            "Frechet distance at d = 2,048: its matrix root beside scipy's sqrtm; whole, n = 1,024",
            f"**{frechet['distance']['n = 10,000']['root, times faster']:.0f}x, "
            f"{frechet['distance']['n = 1,024']['times faster']:.0f}x** as fast, equal to "
            f"{max(v['relative difference'] for k, v in frechet['distance'].items() if k.startswith('n')):.0e}",
            "frechet.py",
        ),
        (
            "precision, recall, density, coverage of 50,000 beside 50,000 items: time, memory",
            f"{frechet['neighbours']['seconds']:.0f} s, {frechet['neighbours']['of which for the figures, MB']} MB "
            f"(all distances: {frechet['neighbours']['all pairwise distances would take, MB']:,} MB)",
            "frechet.py",
        ),
        (
            "FID's network in our words beside the published file: largest difference of a feature; 1,000 pictures",
            f"**{max(published['largest difference of features'].values()):.0e}**; "
            f"{next(v for k, v in published['seconds'].items() if k.startswith('inception')):.0f} s on one core",
            "extractors.py",
        ),
    ]


def times(factors: dict[str, dict[str, float]], how: str) -> str:
    """Three factors of decoding, for 0.8M, 10.7M, and 10.7M of bytes."""
    small, large, light = factors["0.8M"][how], factors["10.7M"][how], factors["10.7M"][f"{how} int8"]
    return f"{small:.1f}x, {large:.1f}x, {light:.1f}x"


def worst(mended: dict[str, Any], kind: str) -> list[float]:
    """The smallest class of every GAN, as it comes or repaired."""
    return [v for values in mended[f"smallest class {kind}"].values() for v in values]
