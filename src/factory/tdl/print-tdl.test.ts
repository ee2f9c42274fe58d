import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { isFailure } from '../../base/failure.ts'
import { validatorMap } from '../../app/builtin.ts'
import { tdls } from '../../testing/sample-tdl.ts'
import { parseTemplate } from '../parse-template.ts'
import { parseTdl } from './parse-tdl.ts'
import { printTdl } from './print-tdl.ts'

const options = { validators: validatorMap(), requireRootPassword: false }

describe('a printed template', () => {
  it('says the same when it is read again', () => {
    fc.assert(
      fc.property(tdls, (tdl) => {
        const { tdl: found, faults } = parseTdl(printTdl(tdl), { file: 'a.tdl' })
        assert.deepEqual(
          faults.filter(({ severity }) => severity === 'error'),
          [],
        )
        assert.deepEqual(found, tdl)
      }),
    )
  })

  it('becomes a recipe with the same texts, whatever YAML and its templates make of them', async () => {
    await fc.assert(
      fc.asyncProperty(tdls, async (tdl) => {
        const { recipe } = await parseTemplate({ text: printTdl(tdl) }, options)
        assert.equal(recipe.name, tdl.name)
        assert.equal(recipe.description, tdl.description)
        const loaded = recipe.steps.map(
          (step) => step.options as { content?: unknown; name?: string },
        )
        for (const { name, content } of tdl.commands)
          assert.ok(
            loaded.some(
              (one) =>
                one.name === name &&
                (content.type === 'url' || bytesOf(one.content).equals(toBytes(content))),
            ),
          )
        for (const { content } of tdl.files)
          assert.ok(
            content.type === 'url' ||
              loaded.some((one) => bytesOf(one.content).equals(toBytes(content))),
          )
      }),
      { numRuns: 50 },
    )
  })
})

describe('any text', () => {
  it('is a template, or refused with a Failure', async () => {
    const pieces = fc.constantFrom(
      ...'< > & " \' = / ! ? - [ ] template name os version="1.0" <template> </template> <!-- --> &amp; &#0; <![CDATA[ ]]> é \ud800 \0 : {'.split(
        ' ',
      ),
      ' ',
      '\n',
      '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="a"/>',
    )
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { maxLength: 30 }), async (all) => {
        await takeOrRefuse(all.join(''))
      }),
      { numRuns: 300 },
    )
  })

  it('of a good template with a piece lost or doubled is refused with a Failure too, or taken', async () => {
    await fc.assert(
      fc.asyncProperty(
        tdls,
        fc.nat(),
        fc.nat(20),
        fc.boolean(),
        async (tdl, at, length, doubled) => {
          const text = printTdl(tdl)
          const start = at % text.length
          const broken =
            text.slice(0, doubled ? start + length : start) +
            text.slice(doubled ? start : start + length)
          await takeOrRefuse(broken)
        },
      ),
      { numRuns: 200 },
    )
  })
})

/** Fails with anything but a Failure. */
async function takeOrRefuse(text: string): Promise<void> {
  try {
    await parseTemplate({ text }, options)
  } catch (error) {
    assert.ok(isFailure(error), String(error))
  }
}

type Content = { type: 'raw'; text: string } | { type: 'base64'; bytes: Buffer }

function toBytes(content: Content): Buffer {
  return content.type === 'raw' ? Buffer.from(content.text) : content.bytes
}

function bytesOf(content: unknown): Buffer {
  return Buffer.isBuffer(content)
    ? content
    : Buffer.from(typeof content === 'string' ? content : '\0none')
}
