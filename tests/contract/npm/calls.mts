// SPDX-License-Identifier: GPL-3.0-or-later
// One call of each kind through the SDK; prints what each gave, as JSON.
import { applicationDeploy, applicationOne, projectAll } from "@dokploy/sdk";

const { DOKPLOY_URL, DOKPLOY_API_KEY, APPLICATION_ID } = process.env;
const options = { baseUrl: `${DOKPLOY_URL}/api`, headers: { "x-api-key": DOKPLOY_API_KEY } };
const applicationId = APPLICATION_ID as string;

const told = async (call: Promise<{ data?: unknown; error?: unknown; response: Response }>) => {
  const { data, error, response } = await call;
  return { status: response.status, data, error };
};

console.log(
  JSON.stringify({
    projects: await told(projectAll({ ...options } as never)),
    one: await told(applicationOne({ ...options, query: { applicationId } } as never)),
    unknown: await told(applicationOne({ ...options, query: { applicationId: "nope" } } as never)),
    deploy: await told(applicationDeploy({ ...options, body: { applicationId, title: "through the sdk" } } as never)),
  }),
);
