/**
 * Who may do what, unless the policy file says otherwise. Source: the defaults of Glance's policies in 2026, with
 * its secure roles enforced.
 *
 * Before any of them is asked, an image that is neither the caller's nor public, community or shared with its
 * project is not there (`image-door.ts`): rules speak of images that are within reach.
 */

const PROJECT_MEMBER = 'role:member and project_id:%(project_id)s'
const PROJECT_READER = 'role:reader and project_id:%(project_id)s'
const MINE_OR_SHOWN =
  "(project_id:%(project_id)s or project_id:%(member_id)s or 'community':%(visibility)s or 'public':%(visibility)s or 'shared':%(visibility)s)"

const ADMIN = 'rule:context_is_admin'
const SERVICE = 'rule:service_api'
const OWNER = `${ADMIN} or (${PROJECT_MEMBER})`
const READER = `${ADMIN} or (${PROJECT_READER})`
const READER_OR_MEMBER = `${ADMIN} or role:reader and (project_id:%(project_id)s or project_id:%(member_id)s)`
const NAMESPACE_READER = `${ADMIN} or (role:reader and (project_id:%(project_id)s or 'public':%(visibility)s))`

/** Rule, check, what it guards. */
const TABLE = [
  // What others are built from
  ['context_is_admin', 'role:admin', 'who is an administrator, of every project'],
  ['service_api', 'role:service or role:admin', 'who speaks for another service'],
  ['default', '', 'what guards nothing of its own'],
  ['metadef_default', '', 'reading metadata definitions, in older files'],
  ['metadef_admin', ADMIN, 'changing metadata definitions'],

  // Images
  ['add_image', `${ADMIN} or (${PROJECT_MEMBER} and project_id:%(owner)s)`, 'create an image'],
  ['get_image', `${ADMIN} or (role:reader and ${MINE_OR_SHOWN})`, 'see an image; else it is 404'],
  ['get_images', READER, 'list images'],
  ['modify_image', OWNER, 'change an image and its tags'],
  ['delete_image', OWNER, 'delete an image'],
  ['publicize_image', ADMIN, 'make an image public'],
  ['communitize_image', OWNER, 'make an image a community image'],
  ['deactivate', OWNER, 'take the data of an image out of use'],
  ['reactivate', OWNER, 'take it into use again'],

  // Their data
  ['download_image', `${ADMIN} or (role:member and ${MINE_OR_SHOWN})`, 'read the data of an image'],
  [
    'download_from_store',
    `${ADMIN} or (role:member and ${MINE_OR_SHOWN})`,
    'say which stores the data is to be read from',
  ],
  ['upload_image', OWNER, 'upload, stage'],
  ['copy_image', ADMIN, 'copy the data of an image to further stores'],
  ['get_image_location', READER, 'see where data stands (show_multiple_locations)'],
  ['set_image_location', OWNER, 'say where data stands, by PATCH'],
  ['delete_image_location', ADMIN, 'take away a location, or the data of one store'],
  ['add_image_location', `${SERVICE} or (${PROJECT_MEMBER})`, 'say where data stands, by POST'],
  ['fetch_image_location', SERVICE, 'see where data stands, by GET'],

  // Members
  ['get_member', READER_OR_MEMBER, 'see a project an image is shared with'],
  ['get_members', READER_OR_MEMBER, 'list projects an image is shared with'],
  ['add_member', OWNER, 'share an image with a project'],
  ['delete_member', OWNER, 'share it no longer'],
  [
    'modify_member',
    `${ADMIN} or (role:member and project_id:%(member_id)s)`,
    'accept or reject it',
  ],

  // Tasks
  ['tasks_api_access', ADMIN, 'the old API of tasks'],
  ['get_task', 'rule:default', 'named in older files; the one above decides'],
  ['get_tasks', 'rule:default', 'as get_task'],
  ['add_task', 'rule:default', 'as get_task'],
  ['modify_task', 'rule:default', 'as get_task'],

  // Stores and cache
  ['stores_info_detail', SERVICE, 'see how stores are set up'],
  ['manage_image_cache', ADMIN, 'the cache, in older files'],
  ['cache_list', ADMIN, 'see what is cached'],
  ['cache_image', ADMIN, 'have an image cached'],
  ['cache_delete', ADMIN, 'take images out of the cache'],

  // The image factory
  ['factory_get', READER, 'see builds, their logs and documents; else they are 404'],
  ['factory_download', OWNER, 'read the body of a factory image'],
  ['factory_create', OWNER, 'have images built, imported, pushed, checked and packed'],
  ['factory_control', OWNER, 'cancel a build, and begin one again that failed'],
  ['factory_delete', OWNER, 'delete a factory image, and what was pushed of it'],
  [
    'factory_given_provider',
    `${ADMIN} or role:factory_operator`,
    'push to where a request says, or hand a build there, rather than to what is configured',
  ],
  ['factory_trusted', ADMIN, 'have recipes run without an appliance around them (trusted)'],
  ['factory_reap', ADMIN, 'see and remove what builds left in clouds'],
  ['recipe_provision', ADMIN, 'have recipes run on hosts, with the keys of the server'],

  // Metadata definitions
  ['get_metadef_namespace', NAMESPACE_READER, 'see a namespace; else it is 404'],
  ['get_metadef_namespaces', READER, 'list namespaces'],
  ['add_metadef_namespace', 'rule:metadef_admin', 'create a namespace'],
  ['modify_metadef_namespace', 'rule:metadef_admin', 'change a namespace'],
  ['delete_metadef_namespace', 'rule:metadef_admin', 'delete a namespace'],
  ['get_metadef_object', NAMESPACE_READER, 'see an object'],
  ['get_metadef_objects', NAMESPACE_READER, 'list objects'],
  ['add_metadef_object', 'rule:metadef_admin', 'create an object'],
  ['modify_metadef_object', 'rule:metadef_admin', 'change an object'],
  ['delete_metadef_object', 'rule:metadef_admin', 'delete an object'],
  ['list_metadef_resource_types', NAMESPACE_READER, 'list resource types'],
  ['get_metadef_resource_type', NAMESPACE_READER, 'see the resource types of a namespace'],
  ['add_metadef_resource_type_association', 'rule:metadef_admin', 'tie a resource type to one'],
  ['remove_metadef_resource_type_association', 'rule:metadef_admin', 'untie it'],
  ['get_metadef_property', NAMESPACE_READER, 'see a property'],
  ['get_metadef_properties', NAMESPACE_READER, 'list properties'],
  ['add_metadef_property', 'rule:metadef_admin', 'create a property'],
  ['modify_metadef_property', 'rule:metadef_admin', 'change a property'],
  ['remove_metadef_property', 'rule:metadef_admin', 'delete a property'],
  ['get_metadef_tag', NAMESPACE_READER, 'see a tag'],
  ['get_metadef_tags', NAMESPACE_READER, 'list tags'],
  ['add_metadef_tag', 'rule:metadef_admin', 'create a tag'],
  ['add_metadef_tags', 'rule:metadef_admin', 'create several tags'],
  ['modify_metadef_tag', 'rule:metadef_admin', 'change a tag'],
  ['delete_metadef_tag', 'rule:metadef_admin', 'delete a tag'],
  ['delete_metadef_tags', 'rule:metadef_admin', 'delete all tags of a namespace'],
] as const

export type RuleName = (typeof TABLE)[number][0]

export interface DefaultRule {
  readonly name: RuleName
  readonly check: string
  /** What it guards, in a few words. */
  readonly summary: string
}

export const DEFAULT_RULES: readonly DefaultRule[] = TABLE.map(([name, check, summary]) => ({
  name,
  check,
  summary,
}))

/** Rules that guard nothing of their own; those of the operator are such too. */
export const BUILDING_BLOCKS: ReadonlySet<string> = new Set<RuleName>([
  'context_is_admin',
  'service_api',
  'default',
  'metadef_default',
  'metadef_admin',
])
