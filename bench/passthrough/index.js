// Hands a request on to the provider and the answer back as it comes: the least that a gateway on workerd can do.
export default {
    fetch(request, env) {
        const { pathname } = new URL(request.url);
        const { method, headers, body } = request;
        return fetch(env.PROVIDER_URL + pathname.replace("/v1", ""), { method, headers, body });
    },
};
