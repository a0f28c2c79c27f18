//! The document of the API (OpenAPI 3.1), made from the same table as the paths.

use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Paths, Required,
    ResponseBuilder, ResponsesBuilder,
};

use super::table::{Answered, Kind, Method, Parameter, ROUTES, Route};

const ABOUT: &str = "Requests of operators. Who may: see docs/operations.md, \"HTTP\". Times that end with _at are microseconds since 1970; a \
                     name that ends with ? is left out where there is no value.";
const TOKEN: &str = "token";
const PASSWORD: &str = "password";

/// The document for this version of the broker.
pub(super) fn document(version: &str) -> OpenApi {
    let mut paths = Paths::new();
    for route in &ROUTES {
        let method = match route.method {
            Method::Get => HttpMethod::Get,
            Method::Post => HttpMethod::Post,
            Method::Delete => HttpMethod::Delete,
        };
        paths.add_path_operation(route.path, vec![method], operation(route).build());
    }
    let scheme = |scheme| SecurityScheme::Http(Http::new(scheme));
    let components = ComponentsBuilder::new()
        .security_scheme(TOKEN, scheme(HttpAuthScheme::Bearer))
        .security_scheme(PASSWORD, scheme(HttpAuthScheme::Basic))
        .build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("inboxd")
                .version(version)
                .description(Some(ABOUT))
                .build(),
        )
        .paths(paths)
        .components(Some(components))
        .security(Some([
            SecurityRequirement::new(TOKEN, [""; 0]),
            SecurityRequirement::new(PASSWORD, [""; 0]),
        ]))
        .build()
}

fn operation(route: &Route) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.command.replace('/', "-")))
        .summary(Some(route.about))
        .responses(responses(route));
    let (of_body, others): (Vec<_>, Vec<_>) = route
        .parameters
        .iter()
        .partition(|parameter| route.method == Method::Post && parameter.kind != Kind::Path);
    for parameter in others {
        operation = operation.parameter(described(parameter));
    }
    if !of_body.is_empty() {
        let mut object = ObjectBuilder::new();
        for parameter in of_body {
            object = object.property(parameter.name, schema(parameter).description(Some(parameter.about)));
        }
        let content = ContentBuilder::new().schema(Some(object)).build();
        operation = operation.request_body(Some(
            RequestBodyBuilder::new().content("application/json", content).build(),
        ));
    }
    operation
}

fn described(parameter: &Parameter) -> ParameterBuilder {
    let (place, required) = match parameter.kind {
        Kind::Path => (ParameterIn::Path, Required::True),
        Kind::Text | Kind::Number(..) => (ParameterIn::Query, Required::False),
    };
    ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(place)
        .required(required)
        .description(Some(parameter.about))
        .schema(Some(schema(parameter)))
}

fn schema(parameter: &Parameter) -> ObjectBuilder {
    match parameter.kind {
        Kind::Path | Kind::Text => ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)),
        Kind::Number(least, most) => ObjectBuilder::new()
            .schema_type(SchemaType::Type(Type::Integer))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(least as f64))
            .maximum(Some(most as f64)),
    }
}

fn responses(route: &Route) -> ResponsesBuilder {
    let (kind, about) = match route.answered {
        Answered::Once => ("application/json", format!("result: {}", route.result)),
        Answered::ByMessage | Answered::ByEvent => ("application/x-ndjson", format!("each line: {}", route.result)),
        Answered::ByBytes => ("application/octet-stream", route.result.to_owned()),
    };
    let boolean = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::Boolean));
    let text = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::String));
    let body = match route.answered {
        Answered::Once => ObjectBuilder::new()
            .property("ok", boolean())
            .property("result", ObjectBuilder::new().description(Some(route.result))),
        Answered::ByMessage | Answered::ByEvent => ObjectBuilder::new().description(Some(route.result)),
        Answered::ByBytes => text().format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))),
    };
    let error = || {
        ObjectBuilder::new().property("ok", boolean()).property(
            "error",
            ObjectBuilder::new()
                .property("code", text())
                .property("message", text()),
        )
    };
    let response = |about: &str, kind: &str, body: ObjectBuilder| {
        let content = ContentBuilder::new().schema(Some(body)).build();
        ResponseBuilder::new().description(about).content(kind, content).build()
    };
    let mut all = ResponsesBuilder::new().response("200", response(&about, kind, body));
    for (status, why) in [
        ("400", "bad-request: a parameter is wrong"),
        ("401", "not-allowed: who asks is not known"),
        ("403", "not-allowed: who asks may not"),
        ("404", "not-found: what it is about is not there"),
        ("500", "failed"),
        ("503", "busy: try again"),
    ] {
        all = all.response(status, response(why, "application/json", error()));
    }
    all
}
