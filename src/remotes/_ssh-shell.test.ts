import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { findProgram, runProcess } from '../base/process.ts'
import { MarkedStream } from './_marked-stream.ts'
import { toCommandLine, toKeeperLines, toKeeperWork, toListener } from './_ssh-shell.ts'

/** Texts with much of what shells care for. */
const anyText = fc.oneof(
  fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
  fc
    .array(fc.constantFrom("'", '"', '\\', '\n', '$', '`', ' ', '$(id)', 'x', '\r', '\x1e', 'é'))
    .map((parts) => parts.join('')),
)

/** Content and words of marks of what a shell printed. */
function parse(nonce: string, output: Buffer): { content: string; marks: string[] } {
  const stream = new MarkedStream(nonce)
  const parts = [...stream.push(output), stream.end()]
  return {
    content: Buffer.concat(parts.filter((part) => typeof part !== 'string')).toString(),
    marks: parts.filter((part) => typeof part === 'string'),
  }
}

/** A line for the keeper. Characters of the input are bytes. */
const work = (id: number, argv: string[], input?: string) =>
  Buffer.concat([
    Buffer.from(`${id} `),
    toKeeperWork(argv, input === undefined ? undefined : Buffer.from(input, 'latin1')),
    Buffer.from('\n'),
  ])

const shells = [['sh'], ['bash'], ['busybox', 'sh']].filter(([program]) => findProgram(program!))

describe('what shells are told', () => {
  for (const shell of shells)
    it(`brings words, environment and input through ${shell.join(' ')} as they are`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyText, { maxLength: 4 }),
          anyText,
          anyText,
          async (words, value, input) => {
            const script = 'printf "%s|" "$VALUE" "$@"; cat; exit 7'
            const argv = ['sh', '-c', script, 'sh', ...words]
            const line = toCommandLine({ argv, env: { VALUE: value } }, 'nonce')
            const { stdout } = await runProcess([...shell, '-c', 'IFS= read -r c; eval "$c"'], {
              input: `${line}\n${input}`,
            })
            const { content, marks } = parse('nonce', stdout)
            assert.equal(content, [value, ...words, ''].join('|') + input)
            assert.deepEqual(marks, ['begun', '7'])
          },
        ),
        { numRuns: 25 },
      )
    })

  for (const shell of shells)
    it(`has ${shell.join(' ')} keep house: small work, answered in order`, async () => {
      const [, keeper = ''] = toKeeperLines('nonce', 'ingot-test', false).split('\n')
      const { stdout } = await runProcess([...shell, '-c', 'IFS= read -r c; eval "$c"'], {
        input: Buffer.concat([
          Buffer.from(`${keeper}\n`),
          work(1, ['printf', '%s', "it's\n$(id)"]),
          work(2, ['cat'], '\xff\xfe\n\n'),
          work(3, ['sh', '-c', 'echo out; echo err >&2; exit 44']),
          work(4, ['cat']),
          Buffer.from('5 TERM ingot-no-such-name\n'),
        ]),
      })
      const { content, marks } = parse('nonce', stdout)
      assert.equal(content, `it's\n$(id)\ufffd\ufffd\n\nout\nerr\n`)
      const ended = marks.filter((mark) => mark.startsWith('did'))
      assert.deepEqual(ended, ['did 1 0', 'did 2 0', 'did 3 44', 'did 4 0', 'did 5 1'])
    })

  it('starts the same on every command line but for a name of ours', () => {
    assert.equal(
      toListener('ingot-1', 'root'),
      `exec sudo -n -- env -i /bin/sh -c 'IFS= read -r c; eval "$c"' ingot-1`,
    )
  })
})
