import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { dropLines, readAssignment, setAssignment, setLine, toLines } from './lines.ts'

const lineText = fc.stringMatching(/^[a-c# =]{0,6}$/)
const file = fc.array(lineText).map((lines) => lines.map((line) => `${line}\n`).join(''))

const isMarked = (line: string) => line.startsWith('#?')

describe('a line that is set', () => {
  it('stands there once it is set, and a second time changes nothing', () => {
    fc.assert(
      fc.property(file, lineText, lineText, (text, line, start) => {
        const matches = (one: string) => one.startsWith(start)
        const once = setLine(text, line, matches)
        const lines = toLines(once)
        assert.ok(lines.includes(line))
        assert.ok(lines.every((one) => one === line || !matches(one)))
        assert.equal(setLine(once, line, matches), once)
      }),
    )
  })

  it('leaves every other line as and where it was', () => {
    fc.assert(
      fc.property(file, lineText, (text, start) => {
        const matches = (one: string) => one.startsWith(start)
        const rest = (all: string) => toLines(all).filter((one) => one !== 'NEW' && !matches(one))
        assert.deepEqual(rest(setLine(text, 'NEW', matches)), rest(text))
      }),
    )
  })

  it('takes the place of the first that matches, and of the others', () => {
    assert.equal(setLine('a\n#?x\nb\n#?y\n', 'X', isMarked), 'a\nX\nb\n')
  })

  it('is put at the end of a file without a last newline', () => {
    assert.equal(setLine('a', 'b'), 'a\nb\n')
    assert.equal(setLine('', 'b'), 'b\n')
  })

  it('leaves the text byte for byte alone when there is nothing to do', () => {
    assert.equal(setLine('a\nb', 'b'), 'a\nb')
    assert.equal(
      dropLines('a\nb', () => false),
      'a\nb',
    )
  })
})

describe('an assignment', () => {
  it('is read as the shell reads it: the last one, without quotes and comments', () => {
    assert.equal(readAssignment("A=1\n# A=2\nexport A='x y'\nAB=3\n", 'A'), 'x y')
    assert.equal(readAssignment('A=b # why\n', 'A'), 'b')
    assert.equal(readAssignment('B=1\n', 'A'), undefined)
  })

  it('is read back after it was set', () => {
    const value = fc.stringMatching(/^[A-Za-z0-9 ._,:/-]{0,12}$/)
    fc.assert(
      fc.property(file, value, (text, given) => {
        assert.equal(readAssignment(setAssignment(text, 'NAME', given), 'NAME'), given)
      }),
    )
  })
})
