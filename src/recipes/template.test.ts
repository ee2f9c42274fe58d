import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { toFacts } from '../remotes/facts.ts'
import { failsWith } from '../testing/fails-with.ts'
import { ArgumentValues } from './argument-values.ts'
import { asLiteral, isTemplate, parseTemplate, renderTexts } from './template.ts'

const FACTS = toFacts('ID=debian\nVERSION_ID="12"\n', 'x86_64')

function render(text: string, values: Record<string, string> = {}): string {
  const args = new ArgumentValues()
  for (const [name, value] of Object.entries(values)) args.set(name, value)
  return parseTemplate(text).render(args, FACTS)
}

describe('a template', () => {
  it('may stand for a text that looks like one', () => {
    const texts = fc.string({ unit: fc.constantFrom(...Array.from('{}%\'" a-')), maxLength: 12 })
    fc.assert(fc.property(texts, (text) => assert.equal(render(asLiteral(text)), text)))
  })

  it('fills in arguments and facts', () => {
    assert.equal(
      render('{{ name }} on {{ facts.distro }} {{ facts.version }}', { name: 'web' }),
      'web on debian 12',
    )
  })

  it('chooses, repeats and changes texts', () => {
    const text =
      "{% if tls == 'yes' %}443{% else %}80{% endif %} {% assign all = hosts | split: ',' %}{% for h in all %}[{{ h | upcase }}]{% endfor %}"
    assert.equal(render(text, { tls: 'yes', hosts: 'a,b' }), '443 [A][B]')
  })

  it('takes values as they are, templates within them too', () => {
    assert.equal(render('{{ x }}', { x: '{{ y }} $(reboot) <&>' }), '{{ y }} $(reboot) <&>')
  })

  it('names the arguments that it uses', () => {
    assert.deepEqual(parseTemplate('{{ a }}{% if b %}{{ facts.distro }}{% endif %}').uses, [
      'a',
      'b',
    ])
  })

  it('fails for an argument without a value', () => {
    assert.throws(() => render('{{ nothing }}'), failsWith('ARGUMENT_INVALID'))
  })

  it('is refused when it cannot be read, in one line', () => {
    for (const text of ['{{ a', '{% if %}', '{% nothing %}', '{% if a %}x', '{{ a | nofilter }}'])
      assert.throws(
        () => parseTemplate(text),
        (error: Error) => /^the template cannot be read: [^\n]+$/.test(error.message),
        text,
      )
  })

  it('reads no files', () => {
    for (const text of ["{% include '/etc/passwd' %}", "{% render 'x' %}", "{% layout 'x' %}"])
      assert.throws(() => render(text), text)
  })

  it('reaches nothing but what it was given', () => {
    for (const text of ['{{ a.constructor }}', '{{ facts.__proto__ }}', '{{ process }}'])
      assert.throws(() => render(text, { a: 'x' }), failsWith('ARGUMENT_INVALID'), text)
  })

  it('is bounded in time and memory', () => {
    assert.throws(
      () =>
        render('{% for i in (1..99999999) %}{% for j in (1..99999999) %}x{% endfor %}{% endfor %}'),
      failsWith('ARGUMENT_INVALID'),
    )
  })
})

const fail = () => assert.fail('nothing to render here')

describe('renderTexts', () => {
  it('fills in every text within a value, except below the keys named', () => {
    const value = { a: '{{ x }}', b: [{ c: '{{ x }}', raw: '{{ x }}' }], n: 5, t: true }
    assert.deepEqual(
      renderTexts(value, ['raw'], () => 'X'),
      { a: 'X', b: [{ c: 'X', raw: '{{ x }}' }], n: 5, t: true },
    )
  })

  it('leaves texts without anything to fill in, and bytes, as they are', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!isTemplate(text))
        assert.equal(renderTexts(text, [], fail), text)
      }),
    )
    const bytes = Buffer.from('{{ x }}')
    assert.equal(renderTexts(bytes, [], fail), bytes)
  })
})
