/**
 * The one style sheet of all pages. It stands inside the page and its hash in the policy, so that a page loads
 * nothing from anywhere (R51, R71).
 */
export const style: string = `
:root {
  color-scheme: light dark;
  --ground: #f3f4f1; --card: #fff; --line: #dfe2dc; --ink: #1b211d; --soft: #5a635d; --edge: #8b948d;
  --accent: #14614a; --accent-strong: #0d4a38; --on-accent: #fff; --tint: #eef4f0;
  --warn-ground: #fdf4e0; --warn-line: #e6c270; --warn-ink: #5c3d00;
  --shadow: 0 1px 2px rgb(20 30 25 / .05), 0 12px 32px -12px rgb(20 30 25 / .18);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #101412; --card: #181e1b; --line: #2d3631; --ink: #e9eeea; --soft: #a2ada6; --edge: #6b766f;
    --accent: #6fd0ac; --accent-strong: #8fe0c2; --on-accent: #06231a; --tint: #1f2924;
    --warn-ground: #2b2310; --warn-line: #6d5518; --warn-ink: #f3dca2;
    --shadow: 0 1px 2px rgb(0 0 0 / .4);
  }
}
*, ::before, ::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; min-height: 100vh; min-height: 100svh; display: flex; flex-direction: column; align-items: center;
  padding: clamp(1rem, 4vh, 3.5rem) 1rem 2rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  overflow-wrap: anywhere;
}
.server { width: 100%; max-width: 31rem; display: flex; align-items: center; gap: .75rem; padding: 0 .25rem 1rem; }
.server svg { flex: none; width: 2rem; height: 2rem; color: var(--accent); }
.server p { margin: 0; line-height: 1.3; font-weight: 600; }
.server small { display: block; font-size: .8125rem; font-weight: 400; color: var(--soft); }
main {
  width: 100%; max-width: 31rem; padding: clamp(1.25rem, 5vw, 2.25rem); background: var(--card);
  border: 1px solid var(--line); border-radius: 1rem; box-shadow: var(--shadow);
}
h1 { margin: 0 0 .5rem; font-size: clamp(1.375rem, 5.2vw, 1.625rem); line-height: 1.25; font-weight: 650; letter-spacing: -.015em; text-wrap: balance; }
h3 { margin: 1.25rem 0 .5rem; font-size: .875rem; line-height: 1.4; font-weight: 600; color: var(--soft); }
h2 { margin: 1.75rem 0 .5rem; font-size: .9375rem; line-height: 1.4; font-weight: 650; }
p { margin: 0 0 .75rem; text-wrap: pretty; }
.soft { color: var(--soft); }
.small { font-size: .875rem; }
main > p:last-child { margin-bottom: 0; }
a { color: var(--accent); text-underline-offset: .15em; }
code { font: .8125rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
ul, ol { margin: 0; padding: 0; list-style: none; }
li + li { margin-top: .625rem; }
.grants li { display: grid; grid-template-columns: 1.25rem 1fr; gap: .625rem; }
.grants svg { width: 1.25rem; height: 1.25rem; margin-top: .15rem; color: var(--accent); }
.steps { counter-reset: step; }
.steps > li { counter-increment: step; display: grid; grid-template-columns: 1.5rem 1fr; gap: .625rem; }
.steps > li::before {
  content: counter(step); display: grid; place-items: center; width: 1.5rem; height: 1.5rem; border-radius: 50%;
  background: var(--tint); color: var(--soft); font-size: .8125rem; font-weight: 600;
}
.asked { margin-top: .25rem; color: var(--soft); font-size: .875rem; }
.asked li { margin-top: .125rem; }
dl { margin: 1.25rem 0 0; border: 1px solid var(--line); border-radius: .75rem; }
dl > div { padding: .75rem 1rem; }
dl > div + div { border-top: 1px solid var(--line); }
dt { font-size: .8125rem; color: var(--soft); }
dd { margin: 0; font-weight: 550; }
dd code { font-size: .9375rem; }
dd .small { display: block; font-size: .875rem; font-weight: 400; color: var(--soft); }
.warning {
  margin: 1.5rem 0 0; padding: .875rem 1rem; border: 1px solid var(--warn-line); border-radius: .75rem;
  background: var(--warn-ground); color: var(--warn-ink); font-size: .9375rem;
}
.warning strong { display: block; }
.actions { display: flex; gap: .75rem; margin-top: 1.75rem; }
button {
  flex: 1; min-height: 3rem; padding: .625rem 1.25rem; border: 1px solid var(--edge); border-radius: .75rem;
  background: transparent; color: var(--ink); font: inherit; font-weight: 600; cursor: pointer;
}
button:hover { background: var(--tint); }
button.primary { border-color: transparent; background: var(--accent); color: var(--on-accent); }
button.primary:hover { background: var(--accent-strong); }
.entries > li {
  display: flex; flex-wrap: wrap; align-items: center; gap: .75rem; margin: 0; padding: .875rem 1rem; border: 1px solid var(--line);
}
.entries > li + li { border-top: 0; }
.entries > li:first-child { border-radius: .75rem .75rem 0 0; }
.entries > li:last-child { border-radius: 0 0 .75rem .75rem; }
.entries > li:only-child { border-radius: .75rem; }
.entries > li > div { flex: 1 1 13rem; min-width: 0; }
.entries span { display: block; font-size: .875rem; color: var(--soft); }
.entries button { flex: none; min-height: 2.75rem; padding: .375rem 1rem; font-size: .9375rem; }
.entries > li > .buttons { flex: 0 1 auto; display: flex; flex-wrap: wrap; gap: .5rem; }
.entries + p { margin-top: .75rem; }
.more { margin: .75rem 0 1.25rem; }
.more button { min-height: 2.75rem; padding: .375rem 1rem; font-size: .9375rem; }
#problem { margin: .75rem 0 0; }
.policies { margin: 1.25rem 0 0; }
label { display: block; margin: 1.5rem 0 .375rem; font-weight: 600; }
input[type=text] {
  width: 100%; min-height: 3rem; padding: .625rem .875rem; border: 1px solid var(--edge); border-radius: .75rem;
  background: var(--card); color: var(--ink); font: inherit;
}
input[aria-invalid=true] { border-color: var(--warn-line); border-width: 2px; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
@media (max-width: 24rem) { body { padding-top: 1.25rem; } .actions { flex-direction: column; } button { flex: none; } }
@media (forced-colors: active) { button { border-color: ButtonText; } }
`
