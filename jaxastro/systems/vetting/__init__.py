"""Transit vetting: planet or false positive."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bookkeeping": ["Vetted", "completeness", "effectiveness", "rates", "read_robovetter", "reliability"],
        "config": ["CITATION", "TITLE", "VERBS"],
        "data": ["Example", "Signals"],
        "ephemeris": ["Ephemeris"],
        "from_curves": ["signals_from_curves"],
        "light_curve_score": ["score_of_change", "scores_of_samples", "sensitivity"],
        "lightcurve": ["LightCurve", "light_curve", "read_light_curve"],
        "model": ["Network"],
        "pages": ["attribution", "contributions", "write_page"],
        "presets": ["AstroNet", "WatsonNet"],
        "readers": ["read"],
        "recipe": ["Recipe"],
        "simulate": ["simulate_curves", "simulated_signals"],
        "training": ["train_ensemble"],
        "vetter": ["Vetter", "decide"],
    },
)
