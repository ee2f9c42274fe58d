/**
 * The schema documents that clients read (`GET /v2/schemas/…`): of images, members and tasks. Source: the shapes
 * that clients of the Image API v2 expect, in our own words.
 */
import { type ImageFormats, imageDocument, MAX_NAME, type SiteProperties } from './image-schema.ts'

const TEXT = 'string'
const TIME = { type: TEXT, format: 'date-time' }
const link = (rel: string, href = `{${rel}}`) => ({ rel, href })
const DESCRIBED_BY = link('describedby', '{schema}')

const MEMBER = {
  name: 'member',
  properties: {
    member_id: { type: TEXT, description: 'Project that the image is shared with' },
    image_id: { type: TEXT, description: 'The image' },
    created_at: { ...TIME, description: 'When it was shared' },
    updated_at: { ...TIME, description: 'When this was last changed' },
    status: {
      type: TEXT,
      enum: ['pending', 'accepted', 'rejected'],
      description: 'What the project says to it',
    },
    schema: { type: TEXT, readOnly: true },
  },
}

const TASK = {
  name: 'task',
  properties: {
    id: { type: TEXT, description: 'An identifier for the task' },
    type: { type: TEXT, description: 'Kind of work' },
    status: {
      type: TEXT,
      enum: ['pending', 'processing', 'success', 'failure'],
      description: 'How far it is',
    },
    input: { type: ['null', 'object'], description: 'What was asked for' },
    result: { type: ['null', 'object'], description: 'What came of it' },
    owner: { type: TEXT, description: 'Project that it is done for' },
    message: { type: TEXT, description: 'How far it is, or why it failed, for people' },
    image_id: { type: ['null', TEXT], description: 'Image that it is about' },
    request_id: { type: ['null', TEXT], description: 'Request that began it' },
    user_id: { type: ['null', TEXT], description: 'User who began it' },
    expires_at: { ...TIME, type: ['null', TEXT], description: 'When it is forgotten' },
    created_at: { ...TIME, description: 'When it was made' },
    updated_at: { ...TIME, description: 'When it was last changed' },
    self: { type: TEXT, readOnly: true },
    schema: { type: TEXT, readOnly: true },
  },
}

/** By the last part of their paths. */
export function schemaDocuments(
  formats: ImageFormats,
  site?: SiteProperties,
): Readonly<Record<string, object>> {
  const image = imageDocument(formats, site)
  const paged = [link('first'), link('next'), DESCRIBED_BY]
  return {
    image,
    images: collection('images', image, paged),
    member: MEMBER,
    members: collection('members', MEMBER, [DESCRIBED_BY]),
    task: TASK,
    tasks: collection('tasks', TASK, paged),
  }
}

function collection(name: string, items: object, links: readonly object[]): object {
  const isPaged = links.length > 1
  return {
    name,
    properties: {
      [name]: { type: 'array', items },
      schema: { type: TEXT, maxLength: MAX_NAME },
      ...(isPaged && { first: { type: TEXT }, next: { type: TEXT } }),
    },
    links,
  }
}
