import { describe, expect, it } from 'vitest'
import { html } from './html.ts'

describe('html', () => {
  it('R64: a value from outside cannot leave its text or its attribute', () => {
    const evil = `"'\`<script>&amp;`
    expect(`${html`<a title="${evil}">${evil}</a>`}`).toBe(
      '<a title="&quot;&#39;&#96;&lt;script&gt;&amp;amp;">&quot;&#39;&#96;&lt;script&gt;&amp;amp;</a>',
    )
  })

  it('nests without escaping twice, joins lists, and leaves out what is not there', () => {
    const items = ['a', '<b>'].map(item => html`<li>${item}</li>`)
    expect(`${html`<ul>${items}</ul>${false}${undefined}${0}`}`).toBe(
      '<ul><li>a</li><li>&lt;b&gt;</li></ul>0',
    )
  })

  it('R64: an object that only claims to be HTML is escaped or refused', () => {
    const forged = JSON.parse('{"toString":"<script>","isHtml":true}')
    expect(() => `${html`${forged}`}`).toThrow(TypeError)
  })
})
