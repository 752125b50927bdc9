/**
 * A text without what nobody sees and a model reads nevertheless: control characters, tags, marks that turn the
 * direction of writing.
 */
export const clean = (text: string, max: number): string =>
  text
    .replace(
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u202a-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e0fff}]/gu,
      '',
    )
    .slice(0, max)
