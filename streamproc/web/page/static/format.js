// Figures as people read them; `streamproc/status/wording.py` has the same rules for the terminal.

const UNITS = [[86_400_000, "d"], [3_600_000, "h"], [60_000, "min"], [1_000, "s"]];

export function amount(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 99.95 || value === Math.round(value)) return Math.round(value).toLocaleString("en");
  return value >= 0.95 ? value.toFixed(1) : value.toFixed(2);
}

export function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  for (const [unit, name] of UNITS) {
    if (ms >= unit) return `${(ms / unit).toFixed(ms < 10 * unit ? 1 : 0)} ${name}`;
  }
  return ms ? `${Math.round(ms)} ms` : "0";
}

export function percent(share) {
  if (share === null || share === undefined) return "–";
  const value = share * 100;
  return `${value.toFixed(value > 0 && value < 9.95 ? 1 : 0)} %`;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  let value = bytes;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (value < 1024) return `${value.toFixed(unit === "B" || value >= 9.95 ? 0 : 1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} GiB`;
}

export function moment(ms) {
  return new Date(ms).toISOString().replace("T", " ").slice(0, 19) + " UTC";
}
