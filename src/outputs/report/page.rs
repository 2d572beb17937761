//! The report as a page: one file, no request, a strict content security policy.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::value::{Serde, Value};
use minijinja::{AutoEscape, Environment, context};
use sha2::{Digest, Sha256};

use super::Report;
use crate::error::{Error, Result};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Apache ECharts, which draws the charts; see assets/README.md.
const LIBRARY: &str = include_str!("../../../assets/echarts.min.js");

/// `report.json`.
pub fn json(report: &Report) -> String {
    serde_json::to_string_pretty(report).expect("a report is plain data") + "\n"
}

/// `report.html`: everything from the data is escaped, and only our own scripts and style can run, by their hashes.
///
/// # Errors
/// `integrity` if the template does not render, which is a defect.
pub fn html(report: &Report) -> Result<String> {
    let defect =
        |e: minijinja::Error| Error::integrity(format!("report.html: {e}"), "this is a defect in ringtrace");
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("page.html", PAGE).map_err(defect)?;
    let text = serde_json::to_string(report).expect("a report is plain data");
    let csp = format!(
        "default-src 'none'; script-src {} {}; style-src {}; img-src data:; base-uri 'none'; form-action 'none'",
        hash_of(LIBRARY),
        hash_of(SCRIPT),
        hash_of(STYLE)
    );
    let context = context! {
        report => Value::from(Serde(report)),
        // Within a script element only "<" could end it.
        data => text.replace('<', "\\u003c"),
        style => STYLE,
        library => LIBRARY,
        script => SCRIPT,
        csp => csp,
    };
    environment.get_template("page.html").and_then(|page| page.render(context)).map_err(defect)
}

/// The hash by which a policy allows a text.
fn hash_of(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}
