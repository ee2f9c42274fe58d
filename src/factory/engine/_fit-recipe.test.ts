import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { describe, it } from 'node:test'
import type { Facts } from '../../remotes/facts.ts'
import { failsWith } from '../../testing/fails-with.ts'
import { recipeOf } from '../../testing/recipe-text.ts'
import { tempDir } from '../../testing/temp-dir.ts'
import { baseOrder, openTestFactory, REQUESTER } from '../../testing/test-factory.ts'
import { canFit, fitRecipe, type Fitting } from './_fit-recipe.ts'
import type { Bodies, FitOrder } from './factory-parts.ts'
import { hypervTarget } from '../targets/hyperv.ts'
import { mockTarget } from '../targets/mock.ts'
import { parseTargetContent, type TargetContent } from '../tdl/target-content.ts'

const DEBIAN: Facts = {
  distro: 'debian',
  family: 'debian',
  version: '12',
  codename: 'bookworm',
  prettyName: 'Debian GNU/Linux 12 (bookworm)',
  architecture: 'x86_64',
}

function contentOf(includes: string): TargetContent {
  const text = `<template_includes>${includes}</template_includes>`
  const { content, faults } = parseTargetContent(text, 'target_content.xml')
  assert.deepEqual(faults, [])
  return content ?? []
}

const including = (attributes: string, name: string) =>
  `<include ${attributes}><packages><package name="${name}"/></packages></include>`

function titlesOf(fitting: Partial<Fitting>, facts = DEBIAN): string[] | undefined {
  const plain = { target: mockTarget, options: {}, content: [], template: { os: undefined } }
  const text = fitRecipe({ ...plain, ...fitting }, facts)
  return text === undefined ? undefined : recipeOf(text).steps.map(({ title }) => title)
}

describe('what is put into a target image', () => {
  it('is what the operator wants in it, then what its cloud wants', () => {
    const content = contentOf(`<include target="hyperv" os="Debian">
      <repositories><repository name="ours"><url>deb http://repo.example.org/ ./</url></repository></repositories>
      <packages><package name="agent"/></packages></include>`)
    const both = titlesOf({ target: hypervTarget, content })
    const cloud = titlesOf({ target: hypervTarget })
    assert.deepEqual(both, ['repository ours', 'package agent', ...(cloud ?? [])])
    assert.ok((cloud ?? []).length > 0)
  })

  it('is nothing when neither wants anything', () => {
    assert.equal(titlesOf({}), undefined)
    assert.equal(titlesOf({ content: contentOf(including('target="ec2"', 'a')) }), undefined)
    assert.equal(canFit({ target: mockTarget, content: [] }), false)
  })

  it('is for the system that the template names, else for the one that is in the image', () => {
    const content = contentOf(
      including('target="mock" os="Debian" version="12" arch="x86_64"', 'for-debian') +
        including('target="mock" os="Fedora"', 'for-fedora'),
    )
    assert.deepEqual(titlesOf({ content }), ['package for-debian'])
    const os = { name: 'Fedora', version: '42', arch: 'x86_64' }
    assert.deepEqual(titlesOf({ content, template: { os } }), ['package for-fedora'])
    assert.equal(titlesOf({ content }, { ...DEBIAN, distro: 'gentoo' }), undefined)
  })
})

const inDir = await tempDir()
const nothingThere = async () => assert.fail('nobody asks for this')

/** Bodies that write down by what an image would be fitted. */
function seenBodies(seen: (string | undefined)[]): Bodies {
  return {
    store: async ({ imageId }) => ({ bodyId: imageId, documents: {} }),
    fit: async ({ fit }: FitOrder) => void seen.push(fit(DEBIAN)),
    openDisk: nothingThere,
    remove: async () => {},
    importImage: nothingThere,
  }
}

describe('a target image', () => {
  it('is fitted by the operator’s content, which may call its target what others call it', async () => {
    const directory = inDir('content')
    await mkdir(directory)
    const seen: (string | undefined)[] = []
    const targetContent = contentOf(including('target="MockCloud"', 'agent'))
    const more = { bodies: seenBodies(seen), targetContent }
    await using opened = await openTestFactory({ directory, ...more })
    const { template, parameters } = baseOrder()
    const order = { requester: REQUESTER, target: 'mock', template, parameters }
    const ordered = await opened.factory.orderTarget({ ...order, unknownParameters: 'refuse' })
    const { status, error } = await opened.ended(ordered)
    assert.deepEqual([status, error], ['COMPLETE', null])
    assert.deepEqual(
      recipeOf(seen[0] ?? '').steps.map(({ title }) => title),
      ['package agent'],
    )
  })

  it('says what is being done in it, and how far that is', async () => {
    const directory = inDir('activity')
    await mkdir(directory)
    const seen: [activity: string, percent: number][] = []
    const fit: Bodies['fit'] = async ({ job }) => {
      const see = () => seen.push([job.image.activity, job.image.percent])
      job.context.progress({ kind: 'bytes', name: 'copy', done: 1, total: 2 })
      see()
      job.context.progress({ kind: 'phase', name: 'appliance', detail: 'start it' })
      see()
      return undefined
    }
    const bodies = { ...seenBodies([]), fit }
    const targetContent = contentOf(including('target="mock"', 'agent'))
    await using opened = await openTestFactory({ directory, bodies, targetContent })
    const { template, parameters } = baseOrder()
    const order = { requester: REQUESTER, target: 'mock', template, parameters }
    await opened.ended(await opened.factory.orderTarget({ ...order, unknownParameters: 'refuse' }))
    assert.deepEqual(seen, [
      ['fitting the image', 14],
      ['appliance: start it', 14],
    ])
  })

  it('is not ordered with options that its target refuses', async () => {
    const directory = inDir('refused')
    await mkdir(directory)
    await using opened = await openTestFactory({ directory, targets: [hypervTarget] })
    const { template } = baseOrder()
    const parameters = { hyperv_generation: 2, hyperv_format: 'vhd' }
    const order = { requester: REQUESTER, target: 'hyperv', template, parameters }
    await assert.rejects(
      opened.factory.orderTarget({ ...order, unknownParameters: 'refuse' }),
      failsWith('REQUEST_INVALID'),
    )
    assert.deepEqual(await opened.factory.list({}), [])
  })
})
