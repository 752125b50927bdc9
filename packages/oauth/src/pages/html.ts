/** Text that is HTML already. Only the `html` tag makes it. */
export interface Html {
  readonly [isHtml]: true
  toString(): string
}

/** What may stand in a template: text is escaped, HTML stays, lists are joined, `false` and undefined are nothing. */
export type HtmlValue = string | number | false | undefined | Html | readonly HtmlValue[]

const isHtml: unique symbol = Symbol('html')

/** Builds HTML; every value is escaped for text and for attributes in quotes, which is where templates put them (R64). */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return trusted(parts.reduce((text, part, at) => text + render(values[at - 1]) + part))
}

/** Constant markup of our own, such as the style sheet. Never a value that came from outside. */
export function trusted(text: string): Html {
  return { [isHtml]: true, toString: () => text }
}

function render(value: HtmlValue): string {
  if (value === undefined || value === false) return ''
  if (typeof value === 'string') return escapeHtml(value)
  if (typeof value === 'number') return `${value}`
  return isHtml in value ? value.toString() : value.map(render).join('')
}

/** A long technical value that may break after its separators, so that it fits on a phone and stays readable. */
export function breakable(value: string): Html {
  return html`${value.split(/(?<=[/.:?&=_-])(?![/.:?&=_-])/).flatMap((part, at) => (at === 0 ? [part] : [trusted('<wbr>'), part]))}`
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"'`]/g, character => escapes[character]!)
}
