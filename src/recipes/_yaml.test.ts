import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { parseYaml } from './_yaml.ts'

const valueOf = (text: string) => JSON.parse(JSON.stringify(parseYaml(text, 'r.yaml').value))
const faultsOf = (text: string) =>
  parseYaml(text, 'r.yaml').faults.map(
    ({ place, message }) => `${place.line}:${place.column}: ${message}`,
  )

describe('YAML with places', () => {
  it('knows where every value and every key stands', () => {
    const document = parseYaml('a:\n  - b: one\n    c: {d: two}\n', 'r.yaml')
    assert.deepEqual(document.placeOf(['a', 0, 'b']), { file: 'r.yaml', line: 2, column: 8 })
    assert.deepEqual(document.placeOf(['a', 0, 'b'], true), { file: 'r.yaml', line: 2, column: 5 })
    assert.deepEqual(document.placeOf(['a', 0, 'c', 'd']), { file: 'r.yaml', line: 3, column: 12 })
  })

  it('counts lines of files from other systems too', () => {
    const document = parseYaml('a: 1\r\nb: 2\r\n', 'r.yaml')
    assert.deepEqual(document.placeOf(['b'], true), { file: 'r.yaml', line: 2, column: 1 })
    assert.deepEqual(document.value, Object.assign(Object.create(null), { a: 1, b: 2 }))
  })

  it('gives the nearest parent for a path that is not there', () => {
    const document = parseYaml('a:\n  b: one\n', 'r.yaml')
    assert.deepEqual(document.placeOf(['a', 'z', 4]), document.placeOf(['a']))
  })

  it('keeps plain scalars as they are written', () => {
    const document = parseYaml('- 1.10\n- yes\n- 2024-01-31\n- "1.10"\n- 0x1f\n- 1:30\n', 'r.yaml')
    assert.deepEqual(
      [0, 1, 2, 3, 4, 5].map((index) => document.sourceOf([index])),
      ['1.10', 'yes', '2024-01-31', undefined, '0x1f', '1:30'],
    )
  })

  it('reads YAML 1.1 as Sahara does: yes is true, << merges, later keys win over merged ones', () => {
    assert.deepEqual(valueOf('a: yes\nb: Off\n'), { a: true, b: false })
    assert.deepEqual(valueOf('x: &x {a: 1, b: 1}\ny:\n  <<: *x\n  b: 2\n'), {
      x: { a: 1, b: 1 },
      y: { b: 2, a: 1 },
    })
    assert.deepEqual(valueOf('x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}\n')['z'], {
      a: 1,
      b: 2,
    })
  })

  it('takes keys as texts: on, yes and 1.10 stay what they are', () => {
    assert.deepEqual(valueOf('on: 1\nyes: 2\n1.10: 3\n~: 4\n'), {
      on: 1,
      yes: 2,
      '1.10': 3,
      '~': 4,
    })
  })

  it('follows an alias to the last anchor of its name before it', () => {
    assert.deepEqual(valueOf('- &a 1\n- *a\n- &a 2\n- *a\n'), [1, 1, 2, 2])
  })

  it('refuses a key that stands twice, and says where the first is', () => {
    assert.deepEqual(faultsOf('a: 1\nb: 2\na: 3\n'), [
      "3:1: the key 'a' stands twice in this mapping; the first is on line 1",
    ])
  })

  it('refuses an alias without an anchor and a merge of what is no mapping', () => {
    assert.deepEqual(faultsOf('a: *b\n'), ['1:4: the alias *b names no anchor before it'])
    assert.deepEqual(faultsOf('a:\n  <<: 5\n'), ['2:3: << merges mappings, and this is none'])
  })

  it('refuses a key that is a list or a mapping', () => {
    assert.deepEqual(faultsOf('? [a]\n: 1\n'), ['1:3: a key must be a single word or text'])
  })

  it('refuses what is not YAML, with the place', () => {
    assert.deepEqual(faultsOf('a: [1, 2\nb: 3\n').length > 0, true)
    assert.match(faultsOf('a: "open\n')[0] ?? '', /^2:1: Missing closing "quote/)
    assert.match(faultsOf('a: 1\n\tb: 2\n')[0] ?? '', /^2:1: .*[Tt]ab/)
  })

  it('refuses a second document', () => {
    assert.equal(faultsOf('a: 1\n---\nb: 2\n').length, 1)
  })

  it('refuses a file that is no text', () => {
    assert.deepEqual(faultsOf('QFI\xfb\0\0\0\x03'), [
      '1:5: a control character stands here; a recipe is YAML, and that is a text',
    ])
  })

  it('refuses a file that is too long, without parsing it', () => {
    assert.deepEqual(faultsOf('a'.repeat(2 ** 20 + 1)), [
      '1:1: the file has 1048577 characters; wanted at most 1048576',
    ])
  })

  it('lists the first 20 errors of a file that is all wrong, and counts the rest', () => {
    const faults = faultsOf('"a" "b"\n'.repeat(500))
    assert.equal(faults.length, 21)
    assert.match(faults.at(-1) ?? '', /and \d+ more like these$/)
  })

  it('gives nothing for an empty document, and no fault', () => {
    assert.equal(parseYaml('# nothing\n', 'r.yaml').value, null)
    assert.deepEqual(faultsOf(''), [])
  })

  it('keeps a key named __proto__ as a key', () => {
    const value = parseYaml('__proto__: {x: 1}\n', 'r.yaml').value as Record<string, unknown>
    assert.deepEqual(Object.keys(value), ['__proto__'])
    assert.equal(({} as Record<string, unknown>)['x'], undefined)
  })
})

/** Nine of nine of nine of …, with each level an alias to the one below. */
const lol = (levels: number) =>
  ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    .concat(
      Array.from(
        { length: levels },
        (_, level) => `a${level + 1}: &a${level + 1} [${`*a${level}, `.repeat(9)}]`,
      ),
    )
    .join('\n')

describe('a YAML bomb', () => {
  it('of aliases is refused with one clear fault', () => {
    const faults = faultsOf(lol(20))
    assert.equal(faults.length, 1)
    assert.match(faults[0] ?? '', /more than 100000 values once its aliases are followed/)
  })

  it('of an alias within itself is refused', () => {
    assert.match(faultsOf('a: &a [*a]\n')[0] ?? '', /nested deeper than 64 levels/)
    assert.match(faultsOf('&a {k: *a}\n')[0] ?? '', /nested deeper than 64 levels/)
  })

  it('of nesting is refused', () => {
    for (const text of ['['.repeat(50_000), '- '.repeat(50_000), '? '.repeat(20_000)])
      assert.match(faultsOf(text).join('\n'), /nested deeper than 64 levels/)
  })

  it('of many aliases to one wide list costs no more than the limit', () => {
    const wide = `&a [${'*a, '.repeat(100_000)}]`
    assert.match(faultsOf(wide)[0] ?? '', /nested deeper|more than 100000/)
  })
})

describe('parseYaml', () => {
  const piece = fc.constantFrom(
    ...'a| |\n|  |b: |- |? |: |[|]|{|}|,|&a |*a|!!str |<<: |"|>|#|%|---|...|\t|1.5|~|\r'.split('|'),
    ...`é,\u2028,',|`.split(','),
  )

  it('throws nothing, whatever it is given', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const text = pieces.join('')
        const { value, faults, placeOf } = parseYaml(text, 'r.yaml')
        assert.ok(faults.every(({ place }) => place.line >= 1 && place.column >= 1))
        assert.ok(placeOf(['a', 0]).line >= 1)
        assert.doesNotThrow(() => JSON.stringify(value))
      }),
      { numRuns: 600 },
    )
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseYaml(text, 'r.yaml')))
  })
})
